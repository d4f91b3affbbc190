"""A server that speaks OpenAI's chat-completions protocol: a picture in, a script out.

Reference: https://platform.openai.com/docs/api-reference/chat. Needs the ``serve`` extra (Starlette and uvicorn).
"""
