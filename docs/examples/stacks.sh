.venv/sam/bin/sam deploy --stack-name shop --parameter-overrides Prefix=shop EnableMedia=false EnableDocuments=false
.venv/sam/bin/sam deploy --stack-name research --parameter-overrides Prefix=research EnableCommunication=false
