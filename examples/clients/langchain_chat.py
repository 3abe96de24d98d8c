"""LangChain asks the pool. With the server running:

pip install langchain-openai
export OPENAI_BASE_URL=http://127.0.0.1:8765/v1 OPENAI_API_KEY=none
python langchain_chat.py
"""

from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI

QUESTION = "What is 14 + 6? Finish with: The answer is X."

pool = ChatOpenAI(model="smcs", seed=1)
reply = pool.invoke(QUESTION)
print("answer:", reply.text.splitlines()[-1])
print("tokens of all calls together:", reply.usage_metadata["total_tokens"])

# As a part of a chain; settings of smcs travel in extra_body.
prompt = ChatPromptTemplate.from_messages([("system", "You are good at {subject}."), ("user", "{question}")])
majority = ChatOpenAI(model="smcs/majority", seed=1, extra_body={"smcs": {"k": 2}})
reply = (prompt | majority).invoke({"subject": "sums", "question": QUESTION})
print("by majority:", reply.text.splitlines()[-1])

# Streamed: the chunks of the answer, once it is chosen.
text = "".join(chunk.text for chunk in pool.stream(QUESTION))
print("streamed:", text.splitlines()[-1])
