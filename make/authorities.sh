#!/bin/sh
# authorities.sh BUNDLE FOLDER   writes the certificates of BUNDLE (PEM) into FOLDER, one a file, each under the name
# that OpenSSL looks for (hash of its subject, then a number). A folder like that costs nothing to open, while a
# bundle is parsed whole: 13 ms of every cold start. Without openssl here, the layer uses the bundle.
set -eu

bundle=$1 folder=$2
command -v openssl >/dev/null || {
	echo "openssl is not installed: the layer will parse its certificate authorities at each cold start." >&2
	exit 0
}
mkdir -p "$folder"
awk -v folder="$folder" '
	/^-----BEGIN CERTIFICATE-----/ { file = sprintf("%s/%04d.pem", folder, ++count) }
	file { print > file }
	/^-----END CERTIFICATE-----/ { close(file); file = "" }
' "$bundle"
for certificate in "$folder"/*.pem; do
	hash=$(openssl x509 -noout -subject_hash -in "$certificate")
	number=0
	while [ -e "$folder/$hash.$number" ]; do number=$((number + 1)); done
	mv "$certificate" "$folder/$hash.$number"
done
