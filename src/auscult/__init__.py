"""auscult: an audio language model that listens before it reasons.

The package is light to import. `import auscult.model` registers the model classes with
`transformers`, after which `AutoModelForCausalLM` and `AutoProcessor` load our checkpoints and
the released Step-Audio-2-mini / R1 / R1.1 ones without remote code.
"""

__version__ = "0.1.0"
