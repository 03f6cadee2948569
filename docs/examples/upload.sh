#!/bin/sh
# Give a method a file that is larger than a call: it is left in the bundle's bucket, and the call names it.
set -eu

BUCKET=$(aws cloudformation describe-stacks --stack-name integrations \
  --query "Stacks[0].Outputs[?OutputKey=='FilesBucket'].OutputValue" --output text)
aws s3 cp talk.mp4 "s3://$BUCKET/$(uuidgen)/talk.mp4"
