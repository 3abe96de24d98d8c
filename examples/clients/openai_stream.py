"""The official client streams: what the pool is doing, then the answer.

export OPENAI_BASE_URL=http://127.0.0.1:8765/v1 OPENAI_API_KEY=none
python openai_stream.py
"""

import asyncio

from openai import AsyncOpenAI

QUESTION = [{"role": "user", "content": "What is 14 + 6? Finish with: The answer is X."}]


async def main() -> None:
    """Ask two questions at once, and print one of them as it comes."""
    async with AsyncOpenAI(timeout=600) as client:
        other = asyncio.create_task(client.chat.completions.create(model="smcs/majority", messages=QUESTION))
        stream = await client.chat.completions.create(
            model="smcs", messages=QUESTION, seed=1, stream=True, stream_options={"include_usage": True}
        )
        answer = ""
        async for chunk in stream:
            for choice in chunk.choices:
                # Progress comes where reasoning LLMs put their reasoning; clients that do not know it skip it.
                progress = getattr(choice.delta, "reasoning_content", None)
                if progress:
                    print("progress:", progress.strip())
                answer += choice.delta.content or ""
            if chunk.usage:
                print("tokens:", chunk.usage.total_tokens)
        print("answer:", answer.splitlines()[-1])
        print("by majority:", (await other).choices[0].message.content.splitlines()[-1])


asyncio.run(main())
