{{/*
Names and settings of this chart that more than one of its templates needs. "root" is the root context.
*/}}

{{/* Labels of every object besides the common ones: none. */}}
{{- define "fairlead.chartLabels" -}}
{}
{{- end }}

{{/* What selects the pods of a component: {root, component}. */}}
{{- define "platform.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* Labels of an object of a component: {root, component}. */}}
{{- define "platform.componentLabel" -}}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{/* The metadata of a pod: {root, component, annotations?, labels?}. No version of the chart is in it, so that only a change of
     what runs restarts a pod. */}}
{{- define "platform.podMetadata" -}}
labels:
  {{- include "platform.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: fairlead
  {{- with merge (.labels | default dict) .root.Values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (.annotations | default dict) .root.Values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Namespaces of runs and releases, each once. */}}
{{- define "platform.clientNamespaces" -}}
{{- concat .Values.runs.namespaces .Values.releases.namespaces | uniq | toJson -}}
{{- end }}

{{/* Name of the ServiceAccount of the release driver. */}}
{{- define "platform.driverAccount" -}}
{{- $default := .Values.driver.serviceAccount.create | ternary (printf "%s-driver" (include "fairlead.fullname" .)) "default" -}}
{{- .Values.driver.serviceAccount.name | default $default -}}
{{- end }}

{{/* A Service's address inside the cluster: {root, service}. */}}
{{- define "platform.host" -}}
{{- printf "%s-%s.%s.svc.%s" (include "fairlead.fullname" .root) .service .root.Release.Namespace .root.Values.clients.clusterDomain -}}
{{- end }}

{{/* MLflow's address. */}}
{{- define "platform.trackingUri" -}}
{{- if .Values.tracking.enabled -}}
http://{{ include "platform.host" (dict "root" . "service" "tracking") }}:5000
{{- else -}}
{{- .Values.tracking.uri -}}
{{- end -}}
{{- end }}

{{/* The store's address; empty: AWS, or no store. */}}
{{- define "platform.storeEndpoint" -}}
{{- if .Values.store.server.enabled -}}
http://{{ include "platform.host" (dict "root" . "service" "store") }}:7070
{{- else -}}
{{- .Values.store.endpoint -}}
{{- end -}}
{{- end }}

{{/* Name of the Secret with the store's keys in the release's namespace; empty: keys come from the pods' identity. */}}
{{- define "platform.storeSecret" -}}
{{- if .Values.store.credentials.existingSecret -}}
{{- .Values.store.credentials.existingSecret -}}
{{- else if .Values.store.credentials.accessKeyId -}}
{{- include "fairlead.fullname" . }}-credentials
{{- end -}}
{{- end }}

{{/* Environment of an S3 client: {root, endpoint, secret}. */}}
{{- define "platform.s3Env" -}}
- name: AWS_REGION
  value: {{ .root.Values.store.region | quote }}
{{- with .endpoint }}
- name: AWS_ENDPOINT_URL
  value: {{ . | quote }}
- name: MLFLOW_S3_ENDPOINT_URL
  value: {{ . | quote }}
- name: AWS_REQUEST_CHECKSUM_CALCULATION
  value: when_required
- name: AWS_RESPONSE_CHECKSUM_VALIDATION
  value: when_required
{{- end }}
{{- with .secret }}
{{- range list "AWS_ACCESS_KEY_ID" "AWS_SECRET_ACCESS_KEY" }}
- name: {{ . }}
  valueFrom:
    secretKeyRef:
      name: {{ $.secret }}
      key: {{ . }}
{{- end }}
{{- end }}
{{- end }}

{{/* The same for the platform's own store. */}}
{{- define "platform.storeEnv" -}}
{{- include "platform.s3Env" (dict "root" . "endpoint" (include "platform.storeEndpoint" .) "secret" (include "platform.storeSecret" .)) -}}
{{- end }}

{{/* Where MLflow's artifacts are: s3://… or a folder of its volume. */}}
{{- define "platform.artifacts" -}}
{{- $default := .Values.store.bucket | empty | ternary "volume" (printf "s3://%s/mlflow" .Values.store.bucket) -}}
{{- $asked := .Values.tracking.artifacts | default $default -}}
{{- $asked | eq "volume" | ternary "/mlflow/artifacts" $asked -}}
{{- end }}

{{/* "true" if MLflow's database is the SQLite file on its volume. */}}
{{- define "platform.sqlite" -}}
{{- empty .Values.tracking.database.existingSecret -}}
{{- end }}

{{/* "true" if MLflow needs its volume. */}}
{{- define "platform.trackingVolume" -}}
{{- or (eq (include "platform.sqlite" .) "true") (hasPrefix "/" (include "platform.artifacts" .)) -}}
{{- end }}

{{/* Name of the claim of MLflow's volume. */}}
{{- define "platform.trackingClaim" -}}
{{- .Values.tracking.volume.existingClaim | default (printf "%s-tracking" (include "fairlead.fullname" .)) -}}
{{- end }}

{{/* Environment of everything that opens MLflow's database. */}}
{{- define "platform.databaseEnv" -}}
- name: MLFLOW_BACKEND_STORE_URI
{{- if eq (include "platform.sqlite" .) "true" }}
  value: sqlite:////mlflow/mlflow.db
{{- else }}
  valueFrom:
    secretKeyRef:
      name: {{ .Values.tracking.database.existingSecret }}
      key: {{ .Values.tracking.database.key }}
{{- end }}
{{- end }}

{{/* Volumes of a pod that works on MLflow's database: {root, scripts: ConfigMap}. */}}
{{- define "platform.databaseVolumes" -}}
{{ include "fairlead.volumes" .root }}
- name: scripts
  configMap:
    name: {{ .scripts }}
{{- if eq (include "platform.trackingVolume" .root) "true" }}
- name: mlflow
  persistentVolumeClaim:
    claimName: {{ include "platform.trackingClaim" .root }}
{{- end }}
{{- end }}

{{/* Mounts that belong to it. */}}
{{- define "platform.databaseMounts" -}}
{{ include "fairlead.mounts" . }}
- name: scripts
  mountPath: /scripts
  readOnly: true
{{- if eq (include "platform.trackingVolume" .) "true" }}
- name: mlflow
  mountPath: /mlflow
{{- end }}
{{- end }}

{{/* Label of all pods that mount MLflow's volume, the server's and those of Jobs. */}}
{{- define "platform.besideVolume" -}}
fairlead.dev/volume: {{ include "fairlead.fullname" . }}-tracking
{{- end }}

{{/* podBasics of a Job that mounts MLflow's volume. A volume that only one node may mount would leave a Job on another node pending for
     ever, so the Job goes where the server is; if there is no server, the first pod that asks to be beside itself may go anywhere. */}}
{{- define "platform.podBasicsBesideVolume" -}}
{{- $values := deepCopy .Values -}}
{{- if eq (include "platform.trackingVolume" .) "true" -}}
  {{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" (dict "matchLabels" (include "platform.besideVolume" . | fromYaml)) -}}
  {{- $affinity := $values.scheduling.affinity -}}
  {{- $pods := $affinity.podAffinity | default dict -}}
  {{- $terms := append ($pods.requiredDuringSchedulingIgnoredDuringExecution | default list) $term -}}
  {{- $_ := set $pods "requiredDuringSchedulingIgnoredDuringExecution" $terms -}}
  {{- $_ := set $affinity "podAffinity" $pods -}}
{{- end -}}
{{- include "fairlead.podBasics" (dict "Values" $values) -}}
{{- end }}

{{/* Where backups go. */}}
{{- define "platform.backups" -}}
{{- .Values.backup.destination | default (printf "s3://%s/backups" .Values.store.bucket) -}}
{{- end }}

{{/* Environment of a client of the place where backups are. */}}
{{- define "platform.backupsEnv" -}}
{{- include "platform.s3Env" (dict
  "root" .
  "endpoint" (.Values.backup.endpoint | default (include "platform.storeEndpoint" .))
  "secret" (.Values.backup.existingSecret | default (include "platform.storeSecret" .))) }}
- name: BACKUPS
  value: {{ include "platform.backups" . }}
- name: ARTIFACTS
  value: {{ include "platform.artifacts" . }}
{{- end }}

{{/* Where an alert's runbook is: {root, alert}. */}}
{{- define "platform.runbook" -}}
{{- with .root.Values.monitoring.rules.runbookUrl -}}
runbook_url: {{ printf "%s#%s" . (lower $.alert) | quote }}
{{- else -}}
runbook: {{ printf "README of the chart %s, section Runbook, %s" .root.Chart.Name .alert | quote }}
{{- end -}}
{{- end }}

{{/* Name of a schedule's CronJob: {root, name}. Kubernetes adds 11 characters for the name of a Job, so it has 52 at most; a longer one
     is cut in the release's part, with six digits of that part's digest. */}}
{{- define "platform.scheduleName" -}}
{{- $base := include "fairlead.fullname" .root -}}
{{- $room := sub 51 (len .name) | int -}}
{{- if gt (len $base) $room -}}
{{- $base = printf "%s-%s" (trunc (sub $room 7 | int) $base | trimSuffix "-") (sha256sum $base | trunc 6) -}}
{{- end -}}
{{- printf "%s-%s" $base .name -}}
{{- end }}
