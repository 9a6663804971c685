{{/* What to do next, as commands that can be typed. */}}
{{- define "platform.notes" -}}
{{- $name := include "fairlead.fullname" . -}}
{{- $namespace := .Release.Namespace -}}
{{- $secret := include "platform.storeSecret" . -}}
{{ .Chart.Name }} {{ .Chart.AppVersion }} as {{ $name }} in {{ $namespace }}

  runs       {{ join ", " .Values.runs.namespaces | default "none" }}
  models     {{ join ", " .Values.releases.namespaces | default "none" }}
  MLflow     {{ include "platform.trackingUri" . | default "none" }}
  store      {{ .Values.store.bucket | empty | ternary "none" (printf "s3://%s/%s" .Values.store.bucket .Values.store.prefix) }} at {{ include "platform.storeEndpoint" . | default "AWS" }}

1. See that everything runs:
     kubectl --namespace {{ $namespace }} get pods --selector app.kubernetes.io/instance={{ .Release.Name }}
{{- if and $secret (not .Values.clients.credentials.create) }}

2. Give runs and models the store's keys. They read a Secret fairlead-store in their own namespace:
{{- range include "platform.clientNamespaces" . | fromJsonArray }}
     kubectl --namespace {{ $namespace }} get secret {{ $secret }} -o json | python3 -c 'import json,sys; s = json.load(sys.stdin); print(json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "fairlead-store"}, "data": s["data"]}))' | kubectl --namespace {{ . }} apply -f -
{{- end }}
{{- end }}
{{- if .Values.tracking.enabled }}

3. Open MLflow:
{{- if .Values.tracking.route.enabled }}
     http://{{ first .Values.tracking.route.hosts }}
{{- else }}
     kubectl --namespace {{ $namespace }} port-forward service/{{ $name }}-tracking 5000   # then http://localhost:5000
{{- end }}
{{- end }}

4. Run a training pipeline and serve what it makes:
     fairlead run --on pods --namespace {{ .Values.runs.namespaces | join " " | splitList " " | first | default "NAMESPACE" }}
     fairlead bundle values champion > values.yaml
     helm install MODEL helm/fairlead-model --namespace {{ .Values.releases.namespaces | join " " | splitList " " | first | default "NAMESPACE" }} --values values.yaml
{{- if not .Values.backup.enabled }}

MLflow is not backed up. Set backup.enabled=true once there is something to lose.
{{- end }}
{{- end }}
