{{/*
Named templates of this chart. The ones of both charts are in _common.tpl.

Labels, annotations and names that begin with fairlead.dev/ are a contract with the release driver.
*/}}

{{/* Labels of the chart's own on every object. */}}
{{- define "fairlead.chartLabels" -}}
fairlead.dev/model: {{ include "fairlead.fullname" . | quote }}
{{- end }}

{{/* What selects the pods of one slot: {root, slot}. */}}
{{- define "model.slotSelector" -}}
fairlead.dev/model: {{ include "fairlead.fullname" .root | quote }}
fairlead.dev/slot: {{ .slot }}
{{- end }}

{{/* Port the model answers on. */}}
{{- define "model.port" -}}8080{{- end }}

{{/* Seconds a stopping pod goes on as before, until nobody sends it new connections. */}}
{{- define "model.preStopSeconds" -}}
{{- int .Values.traffic.propagationSeconds -}}
{{- end }}

{{/* Seconds until a stopping pod is killed. The preStop wait counts, then a request that came at its end may take its whole
     time-out; 5 more for the process to end. */}}
{{- define "model.graceSeconds" -}}
{{- add (include "model.preStopSeconds" .) (int .Values.traffic.timeoutSeconds) 5 -}}
{{- end }}

{{/* Seconds until all of a stopping pod is killed: the log's shipper is told to end when the server has, and has 30 more. */}}
{{- define "model.endSeconds" -}}
{{- add (include "model.graceSeconds" .) (ternary 30 0 .Values.log.enabled) -}}
{{- end }}

{{/* Whether only those with a key or a token may ask: "true" or "". */}}
{{- define "model.closed" -}}
{{- with .Values.access -}}
{{- if or .keysSecret.name .jwt.jwksUrl .jwt.publicKeySecret.name -}}true{{- end -}}
{{- end -}}
{{- end }}

{{/* Fewest pods of the live slot: what is asked for, or what the load test found to be needed, if that is more. */}}
{{- define "model.floor" -}}
{{- max (int .Values.scale.minReplicas) (int .Values.capacity.replicas) -}}
{{- end }}

{{/* The values of the slots that this release renders itself, as {blue: …, green: …}: those of mode static that have a bundle. */}}
{{- define "model.staticSlots" -}}
{{- $slots := dict -}}
{{- if eq .Values.mode "static" -}}
  {{- range $slot := list "blue" "green" -}}
    {{- $values := index $.Values.static $slot -}}
    {{- if $values.bundle.digest -}}
      {{- $_ := set $slots $slot $values -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- toJson $slots -}}
{{- end }}

{{/* The slot that is not live in mode static. */}}
{{- define "model.staticIdle" -}}
{{- eq .Values.static.live "blue" | ternary "green" "blue" -}}
{{- end }}

{{/* The bundle that `helm test` asks: the wanted one, or the live slot's in mode static. */}}
{{- define "model.testedBundle" -}}
{{- if eq .Values.mode "static" -}}
{{- (index .Values.static .Values.static.live).bundle | toJson -}}
{{- else -}}
{{- .Values.bundle | toJson -}}
{{- end -}}
{{- end }}

{{/* Whether there is a model at all: "true" or "". */}}
{{- define "model.exists" -}}
{{- if or .Values.bundle.digest (include "model.staticSlots" . | fromJson) -}}true{{- end -}}
{{- end }}

{{/* Names of extended resources such as nvidia.com/gpu, comma-separated. */}}
{{- define "model.extendedResources" -}}
{{- $names := list -}}
{{- range $name, $_ := merge (deepCopy .Values.resources.limits) .Values.resources.requests -}}
  {{- if contains "/" $name -}}{{- $names = append $names $name -}}{{- end -}}
{{- end -}}
{{- sortAlpha $names | join ", " -}}
{{- end }}
