{{/* Host headers MLflow answers: its Service's names, localhost (port-forward), and the route's. Each with and without a port. */}}
{{- define "platform.allowedHosts" -}}
{{- $name := printf "%s-tracking" (include "fairlead.fullname" .) -}}
{{- $hosts := list "localhost" "127.0.0.1" $name -}}
{{- $within := printf "%s.%s" $name .Release.Namespace -}}
{{- $hosts = concat $hosts (list $within (printf "%s.svc" $within) (include "platform.host" (dict "root" . "service" "tracking"))) -}}
{{- if .Values.tracking.route.enabled -}}
{{- $hosts = concat $hosts .Values.tracking.route.hosts -}}
{{- end -}}
{{- $all := list -}}
{{- range $hosts -}}
{{- $all = concat $all (list . (printf "%s:*" .)) -}}
{{- end -}}
{{- concat $all .Values.tracking.allowedHosts | join "," -}}
{{- end }}

{{/* Origins of browser requests that may change something: MLflow's own pages at the route's hosts. */}}
{{- define "platform.allowedOrigins" -}}
{{- $origins := list -}}
{{- if .Values.tracking.route.enabled -}}
{{- range .Values.tracking.route.hosts -}}
{{- $origins = concat $origins (list (printf "https://%s" .) (printf "http://%s" .)) -}}
{{- end -}}
{{- end -}}
{{- concat $origins .Values.tracking.allowedOrigins | join "," -}}
{{- end }}
