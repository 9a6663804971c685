{{/*
The pod that serves a model. Nothing in here may differ between two upgrades that want the same pod: no version of the chart,
no revision of the release, no time.
*/}}

{{/* The pod template, metadata and spec: {root, bundle, image?, slot?}. `image` overrides the chart's, `slot` adds its label. */}}
{{- define "model.podTemplate" -}}
{{- $values := .root.Values -}}
metadata:
  labels:
    {{- include "model.podLabels" . | nindent 4 }}
  annotations:
    {{- include "model.podAnnotations" . | nindent 4 }}
spec:
  serviceAccountName: {{ include "fairlead.serviceAccountName" .root | quote }}
  automountServiceAccountToken: false
  terminationGracePeriodSeconds: {{ include "model.endSeconds" .root }}
  {{- include "fairlead.podBasics" .root | nindent 2 }}
  {{- include "fairlead.topologySpread" (dict
    "root" .root
    "selector" (include "fairlead.chartLabels" .root | fromYaml)
    "keys" (list "fairlead.dev/slot" "pod-template-hash")) | nindent 2 }}
  {{- if or .bundle.uri $values.log.enabled }}
  initContainers:
    {{- if .bundle.uri }}
    - {{ include "model.fetchContainer" . | indent 6 | trim }}
    {{- end }}
    {{- if $values.log.enabled }}
    - {{ include "model.shipContainer" .root | indent 6 | trim }}
    {{- end }}
  {{- end }}
  containers:
    - {{ include "model.serveContainer" . | indent 6 | trim }}
  volumes:
    {{- include "fairlead.volumes" .root | nindent 4 }}
    {{- include "model.bundleVolume" .bundle | nindent 4 }}
    {{- include "model.servingVolumes" .root | nindent 4 }}
{{- end }}

{{- define "model.podLabels" -}}
{{- $own := dict
  "app.kubernetes.io/name" .root.Chart.Name
  "app.kubernetes.io/instance" .root.Release.Name
  "app.kubernetes.io/component" "serve"
  "fairlead.dev/model" (include "fairlead.fullname" .root) -}}
{{- if .slot -}}{{- $_ := set $own "fairlead.dev/slot" .slot -}}{{- end -}}
{{- merge $own .root.Values.podLabels | toYaml -}}
{{- end }}

{{- define "model.podAnnotations" -}}
{{- $own := dict "fairlead.dev/bundle" .bundle.digest -}}
{{- if eq .root.Values.monitoring.scrape "annotations" -}}
  {{- $own = merge $own (dict
    "prometheus.io/scrape" "true"
    "prometheus.io/path" "/metrics"
    "prometheus.io/port" (include "model.port" .)) -}}
{{- end -}}
{{- merge $own .root.Values.podAnnotations | toYaml -}}
{{- end }}

{{/* Fetches and verifies the bundle. Beside the log's shipper the only container that sees the store's credentials. It leaves the folder complete or
     absent by renaming, so the folder is one inside the volume, and the server mounts that one. */}}
{{- define "model.fetchContainer" -}}
name: fetch
image: {{ include "fairlead.image" (dict "root" .root "image" .root.Values.images.tools) | quote }}
imagePullPolicy: {{ .root.Values.images.pullPolicy }}
command: ["fairlead", "bundle", "fetch", {{ .bundle.uri | quote }}, "--digest", {{ .bundle.digest | quote }}, "--to", "/fetched/bundle"]
env:
  {{- include "fairlead.env" .root | nindent 2 }}
envFrom:
  {{- include "fairlead.storeEnvFrom" .bundle | nindent 2 }}
resources:
  requests: {cpu: 50m, memory: 256Mi}
  limits: {memory: 512Mi}
securityContext:
  {{- include "fairlead.containerSecurity" .root | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  {{- include "fairlead.mounts" .root | nindent 2 }}
  - name: bundle
    mountPath: /fetched
{{- end }}

{{- define "model.serveContainer" -}}
{{- $traffic := .root.Values.traffic -}}
name: serve
image: {{ include "model.serveImage" . | quote }}
imagePullPolicy: {{ .root.Values.images.pullPolicy }}
command:
  - bentoml
  - serve
  - /bundle/bento
  # BentoML's own routes, for this pod alone; requests come in by the port http.
  - --host=127.0.0.1
  - --port=3000
env:
  - name: BENTOML_HOME
    value: /tmp/bentoml
  - name: FAIRLEAD_PORT
    value: {{ include "model.port" . | quote }}
  # Longer than the gateway's, so that only the gateway closes idle connections.
  - name: FAIRLEAD_KEEP_ALIVE_SECONDS
    value: {{ add (int $traffic.gatewayKeepAliveSeconds) 5 | quote }}
  - name: FAIRLEAD_LIMIT_SECONDS
    value: {{ int $traffic.timeoutSeconds | quote }}
  # A stopping pod takes no new requests when it is told to end (preStop comes first), and waits for the longest one.
  - name: FAIRLEAD_GRACE_SECONDS
    value: {{ int $traffic.timeoutSeconds | quote }}
  - name: FAIRLEAD_SLOT
    valueFrom:
      fieldRef: {fieldPath: "metadata.labels['fairlead.dev/slot']"}
  - name: FAIRLEAD_POD
    valueFrom:
      fieldRef: {fieldPath: metadata.name}
  - name: FAIRLEAD_POD_UID
    valueFrom:
      fieldRef: {fieldPath: metadata.uid}
  {{- include "model.servingEnv" .root | nindent 2 }}
  {{- include "fairlead.env" .root | nindent 2 }}
ports:
  - name: http
    containerPort: {{ include "model.port" . }}
  {{- with .root.Values.serving.grpc }}
  {{- if .enabled }}
  - name: grpc
    containerPort: {{ int .port }}
  {{- end }}
  {{- end }}
lifecycle:
  preStop:
    sleep:
      seconds: {{ include "model.preStopSeconds" .root }}
{{ include "model.probes" .root }}
resources:
  {{- include "model.resources" .root | nindent 2 }}
securityContext:
  {{- include "fairlead.containerSecurity" .root | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  {{- include "fairlead.mounts" .root | nindent 2 }}
  {{- include "model.bundleMount" .bundle | nindent 2 }}
  {{- include "model.servingMounts" .root | nindent 2 }}
{{- end }}

{{/* Ready: the model is loaded and warmed. Live: the process answers; it is asked rarely and forgiven twice, because a restart
     helps against a hung process only. */}}
{{- define "model.probes" -}}
startupProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 2
  failureThreshold: {{ divf .Values.probes.startupSeconds 2 | ceil | int }}
readinessProbe:
  httpGet: {path: /readyz, port: http}
  periodSeconds: 5
  timeoutSeconds: 2
  failureThreshold: 2
livenessProbe:
  httpGet: {path: /livez, port: http}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}

{{/* The image that can run the bundle's format; what `image` sets goes before it. */}}
{{- define "model.serveImage" -}}
{{- $images := .root.Values.images -}}
{{- $default := eq .bundle.format "onnx" | ternary $images.serve $images.serveSklearn -}}
{{- $own := .image | default dict -}}
{{- $image := dict
  "repository" ($own.repository | default $default.repository)
  "tag" ($own.tag | default $default.tag)
  "digest" ($own.digest | default (or $own.tag $own.repository | empty | ternary $default.digest "")) -}}
{{- include "fairlead.image" (dict "root" .root "image" $image) -}}
{{- end }}

{{/* Requests and limits; what the load test found takes the place of what is in resources. */}}
{{- define "model.resources" -}}
{{- $requests := deepCopy .Values.resources.requests -}}
{{- $limits := deepCopy .Values.resources.limits -}}
{{- with .Values.capacity.cpu -}}
  {{- $_ := set $requests "cpu" . -}}
  {{- if hasKey $limits "cpu" -}}{{- $_ := set $limits "cpu" . -}}{{- end -}}
{{- end -}}
{{- with .Values.capacity.memory -}}
  {{- $_ := set $requests "memory" . -}}
  {{- $_ := set $limits "memory" . -}}
{{- end -}}
requests:
  {{- include "model.quantities" $requests | nindent 2 }}
limits:
  {{- include "model.quantities" $limits | nindent 2 }}
{{- end }}

{{/* Quantities by name, as text: YAML would make floats of large numbers. */}}
{{- define "model.quantities" -}}
{{- $texts := dict -}}
{{- range $name, $quantity := . -}}{{- $_ := set $texts $name (toString $quantity) -}}{{- end -}}
{{- toYaml $texts -}}
{{- end }}

{{/* Where the bundle is: a fetched one in an emptyDir, or a claim; a baked one needs no volume. */}}
{{- define "model.bundleVolume" -}}
{{- if .uri -}}
- name: bundle
  emptyDir: {}
{{- else if .volume.claimName -}}
- name: bundle
  persistentVolumeClaim:
    claimName: {{ .volume.claimName | quote }}
    readOnly: true
{{- end -}}
{{- end }}

{{- define "model.bundleMount" -}}
{{- if or .uri .volume.claimName -}}
- name: bundle
  mountPath: /bundle
  readOnly: true
  {{- with .uri | empty | ternary .volume.path "bundle" }}
  subPath: {{ quote . }}
  {{- end }}
{{- end -}}
{{- end }}
