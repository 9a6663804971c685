{{/*
Queries over the series of the serving app (fairlead_…, see /metrics). Pods are told by namespace and name, labels that every way of
scraping adds: M-blue-… and M-green-…, and a name that only begins like this one has more parts.
*/}}

{{- define "model.podSeries" -}}
namespace="{{ .Release.Namespace }}", pod=~"{{ include "fairlead.fullname" . }}-(blue|green)-[a-z0-9]+-[a-z0-9]+"
{{- end }}

{{/* The same, without the routes that probes and Prometheus ask. */}}
{{- define "model.trafficSeries" -}}
{{ include "model.podSeries" . }}, route!~"/livez|/readyz|/metrics|/v2/health/.*"
{{- end }}

{{/* Share of requests answered with a 5xx: {root, window}. */}}
{{- define "model.errorShare" -}}
{{- $series := include "model.trafficSeries" .root -}}
sum(rate(fairlead_errors_total{ {{- $series -}} }[{{ .window }}])) / sum(rate(fairlead_requests_total{ {{- $series -}} }[{{ .window }}]))
{{- end }}
