{{/*
What the server is told besides its port and its time-outs, and where its log goes. Each takes the root context. What is not set is not
rendered, so that a new value of the chart makes no new revision of the pod.
*/}}

{{/* Environment of the server, by the sections serving, access, shadow and log. */}}
{{- define "model.servingEnv" -}}
{{- $variables := merge
  (include "model.offers" . | fromYaml)
  (include "model.accessEnv" . | fromYaml)
  (include "model.logEnv" . | fromYaml) -}}
{{- range $name, $value := $variables }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}

{{/* Variables of serving and shadow, by name. */}}
{{- define "model.offers" -}}
{{- $serving := .Values.serving -}}
{{- with $serving.apis }}
FAIRLEAD_APIS: {{ join "," . | quote }}
{{- end }}
{{- if $serving.grpc.enabled }}
FAIRLEAD_GRPC_PORT: {{ int $serving.grpc.port | quote }}
{{- end }}
{{- if gt (int $serving.workers) 1 }}
FAIRLEAD_WORKERS: {{ int $serving.workers | quote }}
FAIRLEAD_METRICS_FOLDER: /run/fairlead/metrics
{{- end }}
{{- range $name, $value := dict
  "BODY_BYTES" $serving.limits.bodyBytes "ROWS" $serving.limits.rows
  "CONCURRENCY" $serving.limits.concurrency "QUEUE" $serving.limits.queue }}
{{- if $value }}
FAIRLEAD_LIMIT_{{ $name }}: {{ int64 $value | quote }}
{{- end }}
{{- end }}
{{- with include "model.memoryBytes" . }}
FAIRLEAD_LIMIT_MEMORY_BYTES: {{ quote . }}
{{- end }}
{{- with $serving.tracing.endpoint }}
OTEL_EXPORTER_OTLP_ENDPOINT: {{ quote . }}
FAIRLEAD_TRACE_SAMPLE: {{ toString $serving.tracing.sample | quote }}
{{- end }}
{{- with .Values.shadow.url }}
FAIRLEAD_SHADOW_URL: {{ quote . }}
FAIRLEAD_SHADOW_SAMPLE: {{ toString $.Values.shadow.sample | quote }}
{{- end }}
{{- end }}

{{/* Variables of access, by name. */}}
{{- define "model.accessEnv" -}}
{{- $access := .Values.access -}}
{{- if $access.keysSecret.name }}
FAIRLEAD_KEYS_FILE: /etc/fairlead/credentials/keys
{{- end }}
{{- if $access.internalTokenSecret.name }}
FAIRLEAD_INTERNAL_TOKEN_FILE: /etc/fairlead/credentials/internal
{{- end }}
{{- if or $access.jwt.jwksUrl $access.jwt.publicKeySecret.name }}
{{- if $access.jwt.jwksUrl }}
FAIRLEAD_JWT_JWKS_URL: {{ quote $access.jwt.jwksUrl }}
{{- else }}
FAIRLEAD_JWT_KEY_FILE: /etc/fairlead/credentials/jwt
{{- end }}
FAIRLEAD_JWT_ALGORITHM: {{ quote $access.jwt.algorithm }}
FAIRLEAD_JWT_ISSUER: {{ quote $access.jwt.issuer }}
FAIRLEAD_JWT_AUDIENCE: {{ quote $access.jwt.audience }}
{{- end }}
{{- with $access.ratePerSecond }}
FAIRLEAD_RATE_PER_SECOND: {{ toString . | quote }}
{{- end }}
{{- with $access.corsOrigins }}
FAIRLEAD_CORS_ORIGINS: {{ join "," . | quote }}
{{- end }}
{{- end }}

{{/* Variables of the log, by name. Segments end early enough to be shipped in time. */}}
{{- define "model.logEnv" -}}
{{- with .Values.log -}}
{{- if .enabled }}
FAIRLEAD_LOG_FOLDER: /var/log/fairlead
FAIRLEAD_LOG_SEGMENT_SECONDS: {{ min 60 (int .shipEverySeconds) | quote }}
FAIRLEAD_LOG_KEEP_BYTES: {{ div (mul (int .sizeMebibytes) 1048576 4) 5 | quote }}
{{- if .saltSecret.name }}
FAIRLEAD_LOG_SALT_FILE: /etc/fairlead/credentials/salt
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Resident memory at which the server drains and begins anew, in place of being killed in the middle of its requests: nine tenths of
     the pod's limit. Nothing without a limit, nor with several workers: they share pages, so the sum of what each has says little. */}}
{{- define "model.memoryBytes" -}}
{{- if eq (int .Values.serving.workers) 1 -}}
{{- $memory := .Values.capacity.memory | default (get .Values.resources.limits "memory") -}}
{{- $text := kindIs "float64" $memory | ternary (int64 $memory) $memory | toString -}}
{{- $number := regexFind "^[0-9]+([.][0-9]+)?" $text -}}
{{- $units := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 -}}
{{- $unit := trimPrefix $number $text -}}
{{- if and $number (hasKey $units $unit) -}}
{{- mulf (float64 $number) (index $units $unit) 0.9 | floor | int64 -}}
{{- end -}}
{{- end -}}
{{- end }}

{{/* The Secrets the server reads, by file name. */}}
{{- define "model.credentials" -}}
{{- $access := .Values.access -}}
{{- $wanted := dict "keys" $access.keysSecret "internal" $access.internalTokenSecret "jwt" $access.jwt.publicKeySecret -}}
{{- if .Values.log.enabled -}}{{- $_ := set $wanted "salt" .Values.log.saltSecret -}}{{- end -}}
{{- $given := dict -}}
{{- range $file, $secret := $wanted -}}
  {{- if $secret.name -}}{{- $_ := set $given $file $secret -}}{{- end -}}
{{- end -}}
{{- toJson $given -}}
{{- end }}

{{/* Volumes for credentials, counters of several workers, and the log. A projected Secret follows its changes. */}}
{{- define "model.servingVolumes" -}}
{{- with include "model.credentials" . | fromJson }}
- name: credentials
  projected:
    sources:
      {{- range $file, $secret := . }}
      - secret:
          name: {{ $secret.name | quote }}
          items:
            - key: {{ $secret.key | quote }}
              path: {{ $file }}
      {{- end }}
{{- end }}
{{- if gt (int .Values.serving.workers) 1 }}
- name: metrics
  emptyDir:
    medium: Memory
    sizeLimit: 64Mi
{{- end }}
{{- with .Values.log }}
{{- if .enabled }}
- name: log
  emptyDir:
    sizeLimit: {{ int .sizeMebibytes }}Mi
{{- if .volume.claimName }}
- name: log-target
  persistentVolumeClaim:
    claimName: {{ .volume.claimName | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Where the server has them. */}}
{{- define "model.servingMounts" -}}
{{- if include "model.credentials" . | fromJson }}
- name: credentials
  mountPath: /etc/fairlead/credentials
  readOnly: true
{{- end }}
{{- if gt (int .Values.serving.workers) 1 }}
- name: metrics
  mountPath: /run/fairlead/metrics
{{- end }}
{{- if .Values.log.enabled }}
- name: log
  mountPath: /var/log/fairlead
{{- end }}
{{- end }}

{{/* Ships the log. A container that starts before the server and is told to end after it, so that it ships the last records too. */}}
{{- define "model.shipContainer" -}}
{{- $log := .Values.log -}}
name: ship
restartPolicy: Always
image: {{ include "fairlead.image" (dict "root" . "image" .Values.images.tools) | quote }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
command:
  - fairlead
  - log
  - ship
  - /var/log/fairlead
  - {{ $log.target | default (printf "/archive/%s" $log.volume.path) | trimSuffix "/" | quote }}
  - --every={{ min 15 (int $log.shipEverySeconds) }}
  - --age={{ int $log.shipEverySeconds }}
  {{- with $log.keepDays }}
  - --keep-days={{ toString . }}
  {{- end }}
env:
  {{- include "fairlead.env" . | nindent 2 }}
{{- if $log.target }}
envFrom:
  {{- include "fairlead.storeEnvFrom" $log | nindent 2 }}
{{- end }}
resources:
  requests:
    {{- include "model.quantities" $log.resources.requests | nindent 4 }}
  limits:
    {{- include "model.quantities" $log.resources.limits | nindent 4 }}
securityContext:
  {{- include "fairlead.containerSecurity" . | nindent 2 }}
terminationMessagePolicy: FallbackToLogsOnError
volumeMounts:
  {{- include "fairlead.mounts" . | nindent 2 }}
  - name: log
    mountPath: /var/log/fairlead
  {{- if $log.volume.claimName }}
  - name: log-target
    mountPath: /archive
  {{- end }}
{{- end }}
