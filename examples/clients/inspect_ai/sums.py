"""inspect_ai evaluates the pool through the endpoint. With the server running:

pip install inspect-ai openai
export SMCS_BASE_URL=http://127.0.0.1:8765/v1 SMCS_API_KEY=none
inspect eval sums.py --model openai-api/smcs/smcs --max-connections 8
"""

from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import match
from inspect_ai.solver import generate

QUESTIONS = [(f"What is {7 * i} + {i + 4}? Finish with: The answer is X.", str(8 * i + 4)) for i in range(1, 9)]


@task
def sums() -> Task:
    """Eight sums, each with one right number at the end of the answer."""
    return Task(
        dataset=[Sample(input=question, target=answer) for question, answer in QUESTIONS],
        solver=generate(),
        scorer=match(numeric=True),
    )
