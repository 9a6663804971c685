{{/*
Queries over the series of the serving app (fairlead_…, see /metrics). Pods are told by namespace and name, labels that every way of
scraping adds: M-blue-… and M-green-…, and a name that only begins like this one has more parts.
*/}}

{{- define "model.podSeries" -}}
namespace="{{ .Release.Namespace }}", pod=~"{{ include "fairlead.fullname" . }}-(blue|green)-[a-z0-9]+-[a-z0-9]+"
{{- end }}

{{/* The same, without what probes and Prometheus ask, and without copies of requests to the slot that is not live. */}}
{{- define "model.trafficSeries" -}}
{{ include "model.podSeries" . }}, route="live", endpoint!~"/livez|/readyz|/metrics|/v2/health/.*"
{{- end }}

{{/* Share of requests answered with a 5xx: {root, window}. */}}
{{- define "model.errorShare" -}}
{{- $series := include "model.trafficSeries" .root -}}
sum(rate(fairlead_errors_total{ {{- $series -}} }[{{ .window }}])) / sum(rate(fairlead_requests_total{ {{- $series -}} }[{{ .window }}]))
{{- end }}
