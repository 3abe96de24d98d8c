"""The official client asks the pool. With the server running:

pip install openai
export OPENAI_BASE_URL=http://127.0.0.1:8765/v1 OPENAI_API_KEY=none
python openai_sync.py
"""

from openai import OpenAI

QUESTION = [{"role": "user", "content": "What is 14 + 6? Finish with: The answer is X."}]

client = OpenAI(timeout=600)
print("models:", ", ".join(model.id for model in client.models.list()))

# A question. The usage is the sum over all calls to all LLMs.
completion = client.chat.completions.create(model="smcs", messages=QUESTION, seed=1)
print("answer:", completion.choices[0].message.content.splitlines()[-1])
print("tokens:", completion.usage.total_tokens)

# Settings for this request alone, in the key "smcs". "explain" asks how the answer came about.
completion = client.chat.completions.create(
    model="smcs",
    messages=QUESTION,
    seed=1,
    extra_body={"smcs": {"k": 2, "n_aggregations": 2, "deadline_s": 30, "explain": True}},
)
print("explained:", sorted(completion.smcs))

# The best three aggregations instead of the best one, ranked.
completion = client.chat.completions.create(model="smcs", messages=QUESTION, seed=1, n=3)
print("choices:", [choice.index for choice in completion.choices])
