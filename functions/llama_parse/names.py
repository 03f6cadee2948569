"""Where LlamaParse's options went: what API v1 and its library call them, and what API v2 has of them.

From the vendor's guide, https://developers.llamaindex.ai/llamaparse/parse/guides/migration-v1-to-v2/, and for options
that it leaves out from the descriptions of the two APIs.
"""

_IGNORE = "processing_options.ignore."
_HTML = "input_options.html."
TABLES = "output_options.markdown.tables."
_SPATIAL = "output_options.spatial_text."
_FAILURE = "processing_control.job_failure_conditions."
# Options that are what they were, in another place.
MOVED = {
    "http_proxy": "http_proxy",
    "aggressive_table_extraction": "processing_options.aggressive_table_extraction",
    "skip_diagonal_text": _IGNORE + "ignore_diagonal_text",
    "disable_ocr": _IGNORE + "ignore_text_in_image",
    "remove_hidden_text": _IGNORE + "ignore_hidden_text",
    "html_make_all_elements_visible": _HTML + "make_all_elements_visible",
    "html_remove_fixed_elements": _HTML + "remove_fixed_elements",
    "html_remove_navigation_elements": _HTML + "remove_navigation_elements",
    "spreadsheet_extract_sub_tables": "input_options.spreadsheet.detect_sub_tables_in_sheets",
    "spreadsheet_force_formula_computation": "input_options.spreadsheet.force_formula_computation_in_sheets",
    "presentation_out_of_bounds_content": "input_options.presentation.out_of_bounds_content",
    "presentation_skip_embedded_data": "input_options.presentation.skip_embedded_data",
    "annotate_links": "output_options.markdown.annotate_links",
    "annotate_revisions": "output_options.markdown.annotate_revisions",
    "inline_images_in_markdown": "output_options.markdown.inline_images",
    "compact_markdown_table": TABLES + "compact_markdown_tables",
    "markdown_table_multiline_header_separator": TABLES + "markdown_table_multiline_separator",
    "merge_tables_across_pages_in_markdown": TABLES + "merge_continued_tables",
    "guess_xlsx_sheet_name": "output_options.tables_as_spreadsheet.guess_sheet_name",
    "guess_xlsx_sheet_names": "output_options.tables_as_spreadsheet.guess_sheet_name",
    "extract_printed_page_number": "output_options.extract_printed_page_number",
    "output_pdf_of_document": "output_options.save_output_pdf",
    "preserve_layout_alignment_across_pages": _SPATIAL + "preserve_layout_alignment_across_pages",
    "preserve_very_small_text": _SPATIAL + "preserve_very_small_text",
    "do_not_unroll_columns": _SPATIAL + "do_not_unroll_columns",
    "job_timeout_in_seconds": "processing_control.timeouts.base_in_seconds",
    "job_timeout_extra_time_per_page_in_seconds": "processing_control.timeouts.extra_time_per_page_in_seconds",
    "page_error_tolerance": _FAILURE + "allowed_page_failure_ratio",
    "strict_mode_image_extraction": _FAILURE + "fail_on_image_extraction_error",
    "strict_mode_image_ocr": _FAILURE + "fail_on_image_ocr_error",
    "strict_mode_reconstruction": _FAILURE + "fail_on_markdown_reconstruction_error",
    "strict_mode_buggy_font": _FAILURE + "fail_on_buggy_font",
}
# Options that are joined to one prompt.
PROMPTS = (
    "parsing_instruction",
    "system_prompt",
    "system_prompt_append",
    "user_prompt",
    "formatting_instruction",
    "content_guideline_instruction",
    "complemental_formatting_instruction",
)
# Options that are one option now, and its values.
CHARTS = {
    "specialized_chart_parsing_efficient": "efficient",
    "specialized_chart_parsing_agentic": "agentic",
    "specialized_chart_parsing_plus": "agentic_plus",
}
# Modes that are tiers now. The guide names no tier for the others, and tiers differ in price.
MODES = {
    "parse_page_without_llm": "fast",
    "parse_page_with_llm": "cost_effective",
    "parse_page_with_agent": "agentic",
}
# Options that need not be asked for: API v2 always does so.
ALWAYS = ("high_res_ocr", "precise_bounding_box")
# Options that are or were about the tier: only one of them counts.
TIERS = {"tier", "fast_mode", "premium_mode", "parse_mode"}
# Options of API v2, which are passed on.
OBJECTS = {
    "agentic_options", "crop_box", "fast_options", "input_options", "output_options", "page_ranges",
    "processing_control", "processing_options", "user_metadata",
}  # fmt: skip
WORDS = {"client_name", "configuration_id", "tier", "version"}
V2 = OBJECTS | WORDS | {"disable_cache", "webhook_configuration_ids", "webhook_configurations"}
# Options that are gone, by what to do about it.
_REMEDIES = {
    "API v2 has nothing like it, leave it out": [
        "backoff_pattern", "continuous_mode", "disable_image_extraction", "disable_reconstruction",
        "extract_charts", "extract_layout", "hide_footers", "hide_headers",
        "ignore_document_elements_for_layout_detection", "is_formatting_instruction",
        "keep_page_separator_when_merging_tables", "layout_aware", "line_level_bounding_box", "max_check_interval",
        "output_s3_path_prefix", "output_s3_region", "page_footer_prefix", "page_footer_suffix",
        "page_header_prefix", "page_header_suffix", "page_prefix", "page_suffix", "partition_pages",
        "replace_failed_page_mode", "replace_failed_page_with_error_message_prefix",
        "replace_failed_page_with_error_message_suffix", "specialized_image_parsing", "structured_output",
        "structured_output_json_schema", "structured_output_json_schema_name",
    ],
    "give processing_options with auto_mode_configuration": [
        "auto_mode", "auto_mode_configuration_json", "auto_mode_trigger_on_image_in_page",
        "auto_mode_trigger_on_regexp_in_page", "auto_mode_trigger_on_table_in_page",
        "auto_mode_trigger_on_text_in_page",
    ],
    "choose the tier, which chooses the model": [
        "azure_openai_api_version", "azure_openai_deployment_name", "azure_openai_endpoint", "azure_openai_key",
        "gpt4o_api_key", "gpt4o_mode", "model", "use_vendor_multimodal_model", "vendor_multimodal_api_key",
        "vendor_multimodal_model_name",
    ],
    "give crop_box, which counts from the top left corner": [
        "bbox_bottom", "bbox_left", "bbox_right", "bbox_top", "bounding_box",
    ],
    "the document is the argument file, which may be a URL": [
        "input_url", "input_s3_path", "input_s3_region", "file_id", "source_url",
    ],
    "give configuration_id": [
        "preset",
    ],
    "give webhook_configurations, which get events in place of results": [
        "webhook_url",
    ],
    "the key is a field of the setup": [
        "api_key",
    ],
    "a base URL belongs to a stored connection": [
        "base_url",
    ],
}  # fmt: skip
GONE = {name: remedy for remedy, names in _REMEDIES.items() for name in names}
# Options that become something else, see `options.py`.
READ = {
    "fast_mode", "premium_mode", "parse_mode", "target_pages", "max_pages", "language", "invalidate_cache",
    "do_not_cache", "outlined_table_extraction", "adaptive_long_table", "output_tables_as_HTML", "save_images",
    "take_screenshot",
    *PROMPTS, *CHARTS,
}  # fmt: skip
