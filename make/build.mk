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
	$(call keep_package,$*)
	$(install_requirements)
	$(call compile_bytecode,/var/task)

.PHONY: python3.13
python3.13:
	@test -n "$(PYTHON313)" || { echo "$(NO_PYTHON313)" >&2; exit 1; }

define copy_source
@mkdir -p "$(CODE)"
@cp -R . "$(CODE)"
@find "$(CODE)" -name __pycache__ -prune -exec rm -rf {} +
endef

# A folder's handler is loaded as `provider` or `app`. Its other files are imported as `functions.<folder>.<file>`, here
# as in Lambda, where nothing but the name of the resource tells the folder: LlamaParse is llama_parse.
# $(1): the name of the resource without "Function".
define keep_package
@own=$$(find "$(CODE)" -maxdepth 1 -name '*.py' ! -name provider.py ! -name app.py); \
if [ -n "$$own" ]; then \
	package="$(CODE)/functions/$$(echo $(1) | sed 's/\([A-Z]\)/_\1/g; s/^_//' | tr '[:upper:]' '[:lower:]')"; \
	mkdir -p "$$package" && mv $$own "$$package"; \
fi
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
