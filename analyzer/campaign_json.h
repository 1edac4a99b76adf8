/* campaign_json.h - a campaign, and the record of a run, as JSON: what stands in the archive (docs/campaign-format.md).
 */
#ifndef VA_CAMPAIGN_JSON_H
#define VA_CAMPAIGN_JSON_H

#include "campaign.h"

/* Text of any bytes: a string, or {"hex": "..."} where it is not UTF-8. NULL when there is no memory. */
json_t *va_bytes_to_json(const char *text);

/* What va_bytes_to_json made; the caller's. NULL: malformed, with a zero byte in it, or no memory. */
char *va_bytes_from_json(const json_t *json);

/* A list of words, comma-separated, as an array. */
json_t *va_list_to_json(const char *list);

/* "NAME=VALUE" strings, NULL at the end, as an object. */
json_t *va_variables_to_json(char *const *variables);

/* NULL when there is no memory. */
json_t *va_campaign_to_json(const va_campaign *campaign);

/* Fails with VR_ERROR_FORMAT (malformed), VR_ERROR_VERSION, VR_ERROR_MEMORY; `out` is then empty. `archive` is for the
 * message. */
vr_status va_campaign_from_json(va_campaign *out, const json_t *json, const char *archive);

/* Whether `wanted` is the campaign that `there` is, with as many replicas or more; fails with VR_ERROR_ARGUMENT, naming
 * what differs. */
vr_status va_campaign_agrees(const va_campaign *there, const va_campaign *wanted, const char *archive);

/* Condition, replica and outcome, without "traces". */
json_t *va_outcome_to_json(const va_campaign *campaign, va_task task, const va_outcome *outcome);

/* The outcome in a record; false: it is malformed. */
bool va_outcome_from_json(va_outcome *out, const json_t *json);

#endif
