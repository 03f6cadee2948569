zip authorities.zip authorities.pem
aws lambda publish-layer-version --layer-name company-authorities --zip-file fileb://authorities.zip \
  --query LayerVersionArn --output text
