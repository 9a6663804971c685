{{/* Parts of NetworkPolicies, as YAML lists. */}}

{{/* Namespaces as peers: a list of names. */}}
{{- define "platform.namespacePeers" -}}
- namespaceSelector:
    matchExpressions:
      - key: kubernetes.io/metadata.name
        operator: In
        values:
          {{- toYaml . | nindent 10 }}
{{- end }}

{{/* The clients of MLflow and the store: runs, releases, and who was added. */}}
{{- define "platform.clientPeers" -}}
{{- $names := concat (include "platform.clientNamespaces" . | fromJsonArray) .Values.networkPolicy.clientNamespaces (list .Release.Namespace) | uniq -}}
{{- include "platform.namespacePeers" $names -}}
{{- end }}

{{/* Egress: names are looked up. */}}
{{- define "platform.egressDns" -}}
{{- with .Values.networkPolicy.dns }}
- to:
    {{- toYaml . | nindent 4 }}
  ports:
    - port: 53
      protocol: UDP
    - port: 53
      protocol: TCP
{{- end }}
{{- end }}

{{/* Egress to a component of this release: {root, component, port}. */}}
{{- define "platform.egressComponent" -}}
- to:
    - namespaceSelector:
        matchLabels:
          kubernetes.io/metadata.name: {{ .root.Release.Namespace }}
      podSelector:
        matchLabels:
          {{- include "platform.selector" . | nindent 10 }}
  ports:
    - port: {{ .port }}
      protocol: TCP
{{- end }}

{{/* Egress to peers, or to any address: {peers, port}. */}}
{{- define "platform.egressPeers" -}}
- ports:
    {{- range .ports }}
    - port: {{ int . }}
      protocol: TCP
    {{- end }}
  {{- with .peers }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* Egress to the Kubernetes API. */}}
{{- define "platform.egressApi" -}}
{{- include "platform.egressPeers" (dict "peers" .Values.networkPolicy.apiServer "ports" (list 443 6443)) -}}
{{- end }}

{{/* Egress to the store, wherever it is. */}}
{{- define "platform.egressStore" -}}
{{- if .Values.store.server.enabled -}}
{{- include "platform.egressComponent" (dict "root" . "component" "store" "port" 7070) -}}
{{- else if .Values.store.bucket -}}
{{- $port := regexFind ":[0-9]+$" .Values.store.endpoint | trimPrefix ":" | default (hasPrefix "http://" .Values.store.endpoint | ternary "80" "443") -}}
{{- include "platform.egressPeers" (dict "peers" .Values.networkPolicy.externalStore "ports" (list $port)) -}}
{{- end -}}
{{- end }}

{{/* Egress to MLflow's database. */}}
{{- define "platform.egressDatabase" -}}
{{- if ne (include "platform.sqlite" .) "true" -}}
{{- include "platform.egressPeers" (dict "peers" .Values.networkPolicy.database "ports" (list 5432)) -}}
{{- end -}}
{{- end }}

{{/* The head of a policy for a component: {root, component}. */}}
{{- define "platform.policyHead" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "fairlead.metadata" (dict "root" .root "suffix" (printf "-%s" .component) "labels" (include "platform.componentLabel" . | fromYaml)) | nindent 2 }}
spec:
  policyTypes: [Ingress, Egress]
  podSelector:
    matchLabels:
      {{- include "platform.selector" . | nindent 6 }}
{{- end }}

{{/* Egress to where backups are, if that is another store. */}}
{{- define "platform.egressBackups" -}}
{{- $asked := or .Values.backup.enabled (ne .Values.restore.from "") -}}
{{- if and $asked (or .Values.backup.endpoint (and .Values.backup.destination (not .Values.store.bucket))) -}}
{{- $port := regexFind ":[0-9]+$" .Values.backup.endpoint | trimPrefix ":" | default (hasPrefix "http://" .Values.backup.endpoint | ternary "80" "443") -}}
{{- include "platform.egressPeers" (dict "peers" .Values.networkPolicy.externalStore "ports" (list $port)) -}}
{{- end -}}
{{- end }}

{{/* Egress to HTTP proxies. */}}
{{- define "platform.egressProxies" -}}
{{- with .Values.networkPolicy.proxies }}
- to:
    {{- toYaml . | nindent 4 }}
{{- end }}
{{- end }}
