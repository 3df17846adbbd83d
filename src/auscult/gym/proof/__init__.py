"""Every answer found again in the samples."""
