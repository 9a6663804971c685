{{/*
Named templates that both charts use.

The source is helm/common/_common.tpl; `make generate` copies it into templates/ of each chart, so that a chart is
complete by itself. Every template here takes the root context, or a dict with the root context as "root".
A chart that includes this file defines "fairlead.chartLabels": its own labels for every object, as YAML.
*/}}

{{/* Base of every object's name: the release's name, at most 40 characters, so that the longest suffix fits into 63.
     A longer one is cut, and six digits of its digest keep two of them apart. */}}
{{- define "fairlead.fullname" -}}
{{- $name := .Values.fullnameOverride | default .Release.Name -}}
{{- if gt (len $name) 40 -}}
{{- printf "%s-%s" (trunc 33 $name | trimSuffix "-") (sha256sum $name | trunc 6) -}}
{{- else -}}
{{- $name -}}
{{- end -}}
{{- end }}

{{/* Labels of every object. The chart's version is among them, so they must not get into a pod template. */}}
{{- define "fairlead.labels" -}}
{{- $own := dict
  "helm.sh/chart" (printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-")
  "app.kubernetes.io/name" .Chart.Name
  "app.kubernetes.io/instance" .Release.Name
  "app.kubernetes.io/version" .Chart.AppVersion
  "app.kubernetes.io/managed-by" .Release.Service
  "app.kubernetes.io/part-of" "fairlead" -}}
{{- merge $own (include "fairlead.chartLabels" . | fromYaml) .Values.labels | toYaml -}}
{{- end }}

{{/* The metadata of an object: {root, suffix?, name?, namespace?, labels?, annotations?}. */}}
{{- define "fairlead.metadata" -}}
name: {{ .name | default (printf "%s%s" (include "fairlead.fullname" .root) (.suffix | default "")) | quote }}
namespace: {{ .namespace | default .root.Release.Namespace | quote }}
labels:
  {{- merge (deepCopy (.labels | default dict)) (include "fairlead.labels" .root | fromYaml) | toYaml | nindent 2 }}
{{- with merge (deepCopy (.annotations | default dict)) .root.Values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* The reference of an image: {root, image: {repository, tag, digest}}. images.registry takes the place of the
     repository's host, so one value moves every image to a mirror. A digest makes the tag superfluous. */}}
{{- define "fairlead.image" -}}
{{- $repository := .image.repository -}}
{{- with .root.Values.images.registry -}}
  {{- $parts := splitList "/" $repository -}}
  {{- $host := first $parts -}}
  {{- if and (gt (len $parts) 1) (or (contains "." $host) (contains ":" $host) (eq $host "localhost")) -}}
    {{- $repository = rest $parts | join "/" -}}
  {{- end -}}
  {{- $repository = printf "%s/%s" (trimSuffix "/" .) $repository -}}
{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $repository .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (.image.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{/* What every pod has besides its containers, its volumes and its ServiceAccount. */}}
{{- define "fairlead.podBasics" -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- with .Values.security.runAsUser }}
  runAsUser: {{ int64 . }}
  runAsGroup: {{ int64 . }}
  fsGroup: {{ int64 . }}
  {{- end }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with .Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ quote . }}
  {{- end }}
{{- end }}
{{- with .Values.scheduling.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.scheduling.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.scheduling.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.scheduling.priorityClassName }}
priorityClassName: {{ quote . }}
{{- end }}
{{- with .Values.scheduling.runtimeClassName }}
runtimeClassName: {{ quote . }}
{{- end }}
{{- end }}

{{/* topologySpreadConstraints of a pod: {root, selector: {label: value}, keys?: [label]}. */}}
{{- define "fairlead.topologySpread" -}}
{{- $ := . -}}
{{- with .root.Values.scheduling.topologySpread -}}
topologySpreadConstraints:
  {{- range . }}
  - topologyKey: {{ .topologyKey | quote }}
    maxSkew: {{ int .maxSkew | default 1 }}
    whenUnsatisfiable: {{ .whenUnsatisfiable | default "ScheduleAnyway" }}
    labelSelector:
      matchLabels:
        {{- toYaml $.selector | nindent 8 }}
    {{- with $.keys }}
    matchLabelKeys:
      {{- toYaml . | nindent 6 }}
    {{- end }}
  {{- end }}
{{- end -}}
{{- end }}

{{/* securityContext of every container: all the profile "restricted" asks for, and a root file system nobody can write. */}}
{{- define "fairlead.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end }}

{{/* Environment of every container: a home that can be written, no usage statistics, trust, proxies, and extraEnv last. */}}
{{- define "fairlead.env" -}}
- name: HOME
  value: /tmp
- name: MPLCONFIGDIR
  value: /tmp/matplotlib
- name: XDG_CACHE_HOME
  value: /tmp/cache
- name: MLFLOW_DISABLE_TELEMETRY
  value: "true"
- name: BENTOML_DO_NOT_TRACK
  value: "True"
- name: ORT_DISABLE_TELEMETRY
  value: "1"
- name: DO_NOT_TRACK
  value: "1"
{{- if .Values.trust.configMap }}
{{- range list "SSL_CERT_FILE" "REQUESTS_CA_BUNDLE" "AWS_CA_BUNDLE" }}
- name: {{ . }}
  value: /etc/fairlead/trust/{{ $.Values.trust.key }}
{{- end }}
{{- end }}
{{- $proxy := .Values.proxy }}
{{- if or $proxy.http $proxy.https }}
{{- range $name, $value := dict "HTTP_PROXY" $proxy.http "HTTPS_PROXY" $proxy.https "NO_PROXY" $proxy.noProxy }}
{{- if $value }}
- name: {{ $name }}
  value: {{ $value | quote }}
- name: {{ lower $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Volumes that belong to "fairlead.mounts". */}}
{{- define "fairlead.volumes" -}}
- name: tmp
  emptyDir: {}
{{- with .Values.trust.configMap }}
- name: trust
  configMap:
    name: {{ quote . }}
    items:
      - key: {{ $.Values.trust.key | quote }}
        path: {{ $.Values.trust.key | quote }}
{{- end }}
{{- end }}

{{/* Mounts of every container. */}}
{{- define "fairlead.mounts" -}}
- name: tmp
  mountPath: /tmp
{{- if .Values.trust.configMap }}
- name: trust
  mountPath: /etc/fairlead/trust
  readOnly: true
{{- end }}
{{- end }}

{{/* envFrom of a container that reads or writes the store: {environment: ConfigMap, existingSecret: Secret}. Both may be
     missing: credentials can also come from the ServiceAccount, and a folder store needs neither. */}}
{{- define "fairlead.storeEnvFrom" -}}
- configMapRef:
    name: {{ .environment | quote }}
    optional: true
- secretRef:
    name: {{ .existingSecret | quote }}
    optional: true
{{- end }}

{{/* Name of the pods' ServiceAccount. */}}
{{- define "fairlead.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default (include "fairlead.fullname" .) -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end }}

{{/* extraObjects as documents of their own; each is a template itself. */}}
{{- define "fairlead.extraObjects" -}}
{{- range .Values.extraObjects }}
---
{{ tpl (kindIs "string" . | ternary . (toYaml .)) $ }}
{{- end }}
{{- end }}

{{/* What is wrong with the values both charts share, as a JSON list of sentences. */}}
{{- define "fairlead.commonFaults" -}}
{{- $faults := list -}}
{{- $name := include "fairlead.fullname" . -}}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $name) -}}
  {{- $faults = append $faults (printf "the name %q cannot name a Service: set fullnameOverride to lower-case letters, digits and '-', a letter first" $name) -}}
{{- end -}}
{{- if gt (len .Values.fullnameOverride) 40 -}}
  {{- $faults = append $faults (printf "fullnameOverride has %d characters: give it at most 40, because suffixes such as -preview are added and a name ends at 63" (len .Values.fullnameOverride)) -}}
{{- end -}}
{{- range $image, $set := .Values.images -}}
  {{- if kindIs "map" $set -}}
    {{- $faults = concat $faults (include "fairlead.imageFaults" (dict "key" (printf "images.%s" $image) "image" $set) | fromJsonArray) -}}
  {{- end -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{/* What is wrong with one image's values: {key, image}. */}}
{{- define "fairlead.imageFaults" -}}
{{- $faults := list -}}
{{- if and .image.digest (not (regexMatch "^sha256:[0-9a-f]{64}$" .image.digest)) -}}
  {{- $faults = append $faults (printf "%s.digest is %q: a digest is sha256: and 64 hexadecimal digits, as `skopeo inspect` prints it" .key .image.digest) -}}
{{- end -}}
{{- if or (contains "@" .image.repository) (contains ":" (splitList "/" .image.repository | last)) -}}
  {{- $faults = append $faults (printf "%s.repository is %q: put what follows ':' into %s.tag, and what follows '@' into %s.digest" .key .image.repository .key .key) -}}
{{- end -}}
{{- toJson $faults -}}
{{- end }}

{{/* Stop with all sentences of a list at once; nothing if there is none. */}}
{{- define "fairlead.refuse" -}}
{{- if . -}}
  {{- fail (printf "\n\nThese values cannot be installed:\n  * %s\n" (join "\n  * " .)) -}}
{{- end -}}
{{- end }}
