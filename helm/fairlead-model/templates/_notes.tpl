{{/* What helm prints after an installation: what is there, and the next command. */}}
{{- define "model.notes" -}}
{{- $name := include "fairlead.fullname" . }}
{{- $namespace := .Release.Namespace }}
{{- $release := printf "%s --namespace %s" .Release.Name $namespace }}
{{- if not (include "model.exists" .) }}
{{ $name }} has no model yet: everything but the pods is installed, and nothing answers.

Next, in the project's folder, with FAIRLEAD_STORE set to the cluster's store:

  fairlead bundle values champion > bundle.yaml
  helm upgrade {{ $release }} <this chart> --reset-then-reuse-values --values bundle.yaml
{{- if eq .Values.mode "static" }}

Mode is static: put what it prints under static.blue.
{{- end }}
{{- else if eq .Values.mode "managed" }}
{{ $name }} should be served by bundle {{ trunc 12 .Values.bundle.digest }} ({{ .Values.bundle.format }}). The release driver starts it in
the idle slot, and switches when it answers a scored request. Watch it:

  kubectl get deployments,pods --namespace {{ $namespace }} --selector fairlead.dev/model={{ $name }}
  kubectl get configmap {{ $name }}-release --namespace {{ $namespace }} --output jsonpath='{.data.journal\.json}'

Nothing happens without a driver: the chart fairlead-platform installs one, and its releases.namespaces must list {{ $namespace }}.
When the slot is live:

  helm test {{ $release }} --logs
{{- else }}
{{ $name }} is served by the slots
{{- range $slot, $values := include "model.staticSlots" . | fromJson }}
  {{ $slot }}: bundle {{ trunc 12 $values.bundle.digest }}, {{ int $values.replicas }} pods
  {{- if eq $.Values.traffic.backend "gateway" }}, weight {{ int $values.weight }}{{ end }}
  {{- if eq $slot $.Values.static.live }}, selected by the Service{{ end }}
{{- end }}

Wait for them, then ask for a prediction:

{{- range $slot, $_ := include "model.staticSlots" . | fromJson }}
  kubectl rollout status deployment/{{ $name }}-{{ $slot }} --namespace {{ $namespace }}
{{- end }}
  helm test {{ $release }} --logs
{{- end }}
{{- if and (include "model.exists" .) .Values.log.target }}

What was asked and answered, some {{ int .Values.log.shipEverySeconds }} s later:

  fairlead log show {{ .Values.log.target }}
{{- end }}
{{- if and (include "model.exists" .) (eq .Values.traffic.backend "gateway") .Values.traffic.host }}

Requests from outside: POST {{ ternary "https" "http" (empty .Values.traffic.gateway.tls.existingSecret | not) }}://{{ .Values.traffic.host }}
{{- trimSuffix "/" .Values.traffic.pathPrefix }}{{ ternary "/predict" "" (or .Values.traffic.stripPrefix (eq .Values.traffic.pathPrefix "/")) }}
{{- end }}
{{- end }}
