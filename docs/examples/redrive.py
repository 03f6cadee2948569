"""Send again what failed for a reason that may have passed: `redrive.py STACK`.

Reads the bundle's dead-letter queue. A call whose problem says `retryable` is sent again and its message deleted; any
other stays where it is, and is named with what to do.
"""

import json
import sys
from typing import Any

import boto3


def main(stack: str) -> None:
    """Look at each message once."""
    resource = boto3.client("cloudformation").describe_stack_resource(
        StackName=stack, LogicalResourceId="DeadLetterQueue"
    )
    queue = boto3.resource("sqs").Queue(resource["StackResourceDetail"]["PhysicalResourceId"])
    # All are read before the first is sent, or a call that fails anew would be found here and sent once more. Without a
    # second to wait SQS asks only some of its servers, and says that nothing is there. For ten minutes nobody else gets
    # what was read.
    waiting = []
    while messages := queue.receive_messages(MaxNumberOfMessages=10, VisibilityTimeout=600, WaitTimeSeconds=1):
        waiting += messages
    sent = 0
    for message in waiting:
        if send_again(json.loads(message.body)):
            message.delete()
            sent += 1
    print(f"{sent} sent again, {len(waiting) - sent} kept.")


def send_again(failed: dict[str, Any]) -> bool:
    """Send one call again, if the very same call may succeed now."""
    context, response = failed.get("requestContext"), failed.get("responsePayload") or {}
    if context is None:
        print("kept: not a failed call but what a schedule could not deliver; its attributes say why")
        return False
    problem = read(response.get("errorMessage", ""))
    # Without an answer the function was not started: the event was too old, or too many waited.
    if problem.get("retryable", context["condition"] == "EventAgeExceeded"):
        boto3.client("lambda").invoke(
            FunctionName=context["functionArn"],
            InvocationType="Event",
            Payload=json.dumps(failed["requestPayload"]).encode(),
        )
        return True
    print(f"kept: {response.get('errorType', context['condition'])}: {problem.get('detail', 'see the log')}")
    return False


def read(text: str) -> dict[str, Any]:
    """Read the problem out of an error; a fault outside of the handler has none."""
    try:
        problem = json.loads(text)
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


if __name__ == "__main__":
    main(*sys.argv[1:])
