# What `sam build` runs, once for the layer and once for each function: the working folder is a copy of CodeUri
# (ContentUri for the layer), ARTIFACTS_DIR is what gets zipped.
#
# SAM's own Python builder ships no bytecode, and bytecode that is checked by time is void because the zip dates
# every file 1980: Lambda then compiles all sources at each cold start. Hence unchecked hashes, compiled by the
# runtime's own minor version, with the paths that the files have in Lambda.

HERE := $(dir $(lastword $(MAKEFILE_LIST)))
PYTHON313 := $(or $(PYTHON313),$(shell sh $(HERE)python.sh 3.13 -- pip compileall))
NO_PYTHON313 = The build compiles with Lambda's own Python, 3.13, and needs it with pip: see the lines above, or name it with PYTHON313=/path/to/python3.13.

# Wheels for Lambda's Amazon Linux 2023 (glibc 2.34), whatever machine builds.
WHEELS := --only-binary=:all: --implementation cp --python-version 3.13 \
	$(foreach tag,manylinux_2_34 manylinux_2_28 manylinux_2_17 manylinux2014,--platform $(tag)_$(WHEEL_ARCHITECTURE))
PIP_INSTALL = "$(PYTHON313)" -m pip install --quiet --disable-pip-version-check --no-compile --no-deps --require-hashes $(WHEELS)

.PHONY: build-CommonLayer
build-CommonLayer: CODE := $(ARTIFACTS_DIR)/python
build-CommonLayer: | python3.13
	$(copy_source)
	$(install_requirements)
	@sh $(HERE)authorities.sh "$(CODE)/certifi/cacert.pem" "$(CODE)/integrations/authorities"
	$(call compile_bytecode,/opt)

build-%Function: CODE = $(ARTIFACTS_DIR)
build-%Function: | python3.13
	$(copy_source)
	$(call name_modules,$*)
	$(install_requirements)
	$(call compile_bytecode,/var/task)

# Of its one requirement, certifi, it is the certificate authorities that are wanted.
build-AuthorizerFunction: CODE = $(ARTIFACTS_DIR)
build-AuthorizerFunction: | python3.13
	$(copy_source)
	$(call name_modules,Authorizer)
	$(install_requirements)
	@sh $(HERE)authorities.sh "$(CODE)/certifi/cacert.pem" "$(CODE)/functions/authorizer/authorities"
	@rm -rf "$(CODE)/certifi"
	$(call compile_bytecode,/var/task)

.PHONY: python3.13
python3.13:
	@test -n "$(PYTHON313)" || { echo "$(NO_PYTHON313)" >&2; exit 1; }

define copy_source
@mkdir -p "$(CODE)"
@cp -R . "$(CODE)"
@find "$(CODE)" -name __pycache__ -prune -exec rm -rf {} +
endef

# Beside provider.py or app.py, which Lambda loads by its bare name, a function's files are imported by the name that
# they have in this project: functions.<folder>.<file>. $(1): the folder's name in Pascal case.
define name_modules
@folder="$(CODE)/functions/$$(echo "$(1)" | sed 's/\([a-z0-9]\)\([A-Z]\)/\1_\2/g' | tr '[:upper:]' '[:lower:]')"; \
for file in "$(CODE)"/*.py; do \
	case "$${file##*/}" in provider.py | app.py) ;; *) mkdir -p "$$folder" && mv "$$file" "$$folder" ;; esac; \
done
endef

# Console scripts hold the path of the Python that built them, which nobody runs in Lambda and which would make
# two builds differ. Of a package's records only its name, version and licence mean anything there.
define install_requirements
@if [ -s requirements.txt ]; then $(PIP_INSTALL) --target "$(CODE)" -r requirements.txt; fi
@rm -rf "$(CODE)/bin" "$(CODE)/requirements.txt"
@find "$(CODE)" -path '*.dist-info/*' -type f ! -name METADATA ! -ipath '*licen[cs]e*' -delete
endef

# $(1): where Lambda mounts ARTIFACTS_DIR.
define compile_bytecode
@"$(PYTHON313)" -m compileall -q -j 0 --invalidation-mode unchecked-hash -s "$(ARTIFACTS_DIR)" -p "$(1)" "$(CODE)"
endef
