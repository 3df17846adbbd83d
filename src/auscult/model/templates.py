"""Chat templates: how a conversation is written for the released models.

`LOCAL` is that of the released client of Step-Audio 2 (`stepaudio2.py`), `SERVED` what the released
server sends, by the template of its README behind vLLM's `--interleave-mm-strings`. They differ
where text stands before sound (the server puts a newline between them), in earlier turns of the
assistant (the server does not close them) and in tools (the client has none; here they are written
as the server writes them). Parts that are neither text nor sound are refused.
"""

_REFUSE = (
    "{{- raise_exception('a part of type ' ~ part['type'] ~ ' cannot be shown to this model; it "
    "takes text, audio and input_audio') -}}"
)
_SOUND = "part['type'] in ('audio', 'input_audio', 'audio_url')"
_OPEN = "{%- if add_generation_prompt -%}{{- '<|BOT|>assistant\n<think>\n' -}}{%- endif -%}"
_TOOLS = "{{- '<|BOT|>tool_json_schemas\n' + tools | tojson + '<|EOT|>' -}}"

LOCAL = (
    "{%- macro said(m) -%}"
    "{%- if m['content'] is string -%}{{- m['content'] -}}"
    "{%- elif m['content'] -%}{%- for part in m['content'] -%}"
    "{%- if " + _SOUND + " -%}{{- '<audio_patch>' -}}"
    "{%- elif part['type'] == 'text' -%}{{- part['text'] -}}"
    "{%- else -%}" + _REFUSE + "{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- if (m['content'] or m['role'] != 'assistant') and m.get('eot', true) -%}"
    "{{- '<|EOT|>' -}}{%- endif -%}"
    "{%- endmacro -%}"
    "{%- for m in messages -%}"
    "{%- if tools and loop.first and m['role'] != 'system' -%}" + _TOOLS + "{%- endif -%}"
    "{{- '<|BOT|>' + ('human' if m['role'] == 'user' else m['role']) + '\n' -}}"
    "{%- if m['role'] == 'assistant' -%}{%- generation -%}{{- said(m) -}}{%- endgeneration -%}"
    "{%- else -%}{{- said(m) -}}{%- endif -%}"
    "{%- if tools and loop.first and m['role'] == 'system' -%}" + _TOOLS + "{%- endif -%}"
    "{%- endfor -%}" + _OPEN
)
"""`user` becomes `human`; a turn with "eot": False or without content stays open; the generation
prompt opens the thought."""

SERVED = (
    "{%- macro written(content) -%}"
    "{%- set found = namespace(text='') -%}"
    "{%- if content is string -%}{%- set found.text = content -%}"
    "{%- elif content -%}{%- for part in content -%}"
    "{%- if not loop.first -%}{%- set found.text = found.text + '\n' -%}{%- endif -%}"
    "{%- if " + _SOUND + " -%}{%- set found.text = found.text + '<audio_patch>' -%}"
    "{%- elif part['type'] == 'text' -%}{%- set found.text = found.text + part['text'] -%}"
    "{%- else -%}" + _REFUSE + "{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{- found.text.replace('<audio_patch>\n', '<audio_patch>') -}}"
    "{%- endmacro -%}"
    "{%- set first = messages[0] -%}"
    "{%- if tools or first['role'] == 'system' -%}{{- '<|BOT|>system\n' -}}{%- endif -%}"
    "{%- if first['role'] == 'system' -%}{{- written(first['content']) + '<|EOT|>' -}}{%- endif -%}"
    "{%- if tools -%}" + _TOOLS + "{%- endif -%}"
    "{%- for m in messages -%}"
    "{%- if (loop.first and m['role'] == 'system') or m['role'] == 'function_output' -%}"
    "{%- elif m['role'] == 'assistant' -%}{{- '<|BOT|>assistant\n' + written(m['content']) -}}"
    "{%- else -%}"
    "{{- '<|BOT|>' + ('human' if m['role'] == 'user' else m['role']) + '\n' -}}"
    "{{- written(m['content']) + '<|EOT|>' -}}"
    "{%- endif -%}"
    "{%- endfor -%}" + _OPEN
)
"""With tools and no system message the system turn stays open, as the released template leaves
it."""

TEMPLATES = {"local": LOCAL, "served": SERVED}
"""By the name that `apply_chat_template(chat_template=...)` takes."""
