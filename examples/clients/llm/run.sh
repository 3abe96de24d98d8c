#!/usr/bin/env bash
# The llm command line asks the pool. With the server running, and extra-openai-models.yaml in its place:
#
#   pip install llm
#   llm keys set smcs --value none          # or the server's key
set -euo pipefail
llm models list | grep smcs
llm -m smcs -o seed 1 "What is 14 + 6? Finish with: The answer is X."
echo "What is 14 + 6? Finish with: The answer is X." | llm -m smcs-majority --no-stream --system "You are good at sums."
