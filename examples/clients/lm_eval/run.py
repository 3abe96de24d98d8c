"""lm-evaluation-harness evaluates the pool through the endpoint. With the server running:

pip install "lm-eval[api]"
export OPENAI_API_KEY=none                  # or the server's key
python run.py http://127.0.0.1:8765/v1 smcs results.json

The same from its command line, which first reads the thousands of tasks that come with it:

lm_eval --model local-chat-completions --include_path . --tasks smcs_sums --apply_chat_template \
  --model_args model=smcs,base_url=http://127.0.0.1:8765/v1/chat/completions,num_concurrent=4
"""

import json
import sys
from pathlib import Path

from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

base_url, model, output = sys.argv[1:]
results = simple_evaluate(
    model="local-chat-completions",
    model_args={
        "model": model,
        "base_url": f"{base_url}/chat/completions",
        "num_concurrent": 4,
        "max_retries": 1,
        "timeout": 600,
    },
    tasks=["smcs_sums"],
    task_manager=TaskManager(include_path=str(Path(__file__).parent), include_defaults=False),
    apply_chat_template=True,
)
print(results["results"]["smcs_sums"])
Path(output).write_text(json.dumps(results["results"], default=str), encoding="utf-8")
