"""The results page of `auscult eval`."""
