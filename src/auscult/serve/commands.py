"""`auscult serve`."""

import ipaddress
import os

from auscult.serve.limits import Limits


def serve(
    *,
    model: str = "nano",
    host: str = "127.0.0.1",
    port: int = 8000,
    api_key: str = "",
    name: str = "",
    rows: int = 64,
    device: str = "auto",
    max_seconds: float = Limits().seconds,
) -> None:
    """An OpenAI-compatible server: chat about sound, with the thought and what the sound bears out.

    Args:
        model: nano, nano-base, or a folder with a Step-Audio-2 / R1 checkpoint.
        host: the address to listen at. Any but this machine's own needs an API key.
        port: 0 takes a free one.
        api_key: what clients must send; also taken from AUSCULT_API_KEY.
        name: of the model, for clients; default the model's.
        rows: replies that are written at the same time.
        device: auto, cpu or cuda.
        max_seconds: longest recording that is heard.
    """
    key = api_key or os.environ.get("AUSCULT_API_KEY", "")
    if not key and not _own(host):
        raise ValueError(
            f"{host} can be reached from elsewhere; give an API key with --api-key or in "
            "AUSCULT_API_KEY, or listen at 127.0.0.1"
        )
    try:
        import uvicorn
    except ImportError as error:
        raise ValueError(
            "the server needs the extra 'serve': pip install 'auscult[serve]'"
        ) from error
    import torch

    from auscult.engine import Engine
    from auscult.model.weights import open_model
    from auscult.serve.app import application

    torch.set_num_threads(1 if device == "cpu" or not torch.cuda.is_available() else 8)
    engine = Engine(*open_model(model, device=None if device == "auto" else device), rows=rows)
    name = name or os.path.basename(model.rstrip("/"))
    app = application(engine, name=name, key=key, limits=Limits(seconds=max_seconds))
    print(_hello(host, port, name, bool(key)), flush=True)
    uvicorn.run(app, host=host, port=port, log_level="warning", server_header=False)


def _own(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _hello(host: str, port: int, name: str, key: bool) -> str:
    url = f"http://{host}:{port}/v1"
    head = ' -H "Authorization: Bearer $AUSCULT_API_KEY"' if key else ""
    body = (
        f'{{"model": "{name}", "messages": [{{"role": "user", "content": [{{"type": '
        '"input_audio", "input_audio": {"data": "\'$(base64 -w0 clip.wav)\'", "format": "wav"}}, '
        '{"type": "text", "text": "What do you hear?"}]}]}'
    )
    return (
        f"{name} at {url}, a page at {url[:-3]}/\n\ncurl {url}/chat/completions{head} -d '{body}'\n"
    )
