{{- define "polyport.name" -}}
{{- if contains "polyport" .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-polyport" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "polyport.selector" -}}
app.kubernetes.io/name: polyport
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "polyport.labels" -}}
{{ include "polyport.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{- define "polyport.account" -}}
{{- if .Values.serviceAccount.name -}}
{{- .Values.serviceAccount.name -}}
{{- else if .Values.serviceAccount.create -}}
{{- include "polyport.name" . -}}
{{- else -}}
default
{{- end -}}
{{- end -}}

{{- define "polyport.check" -}}
{{- if not .Values.existingSecret -}}
{{- fail "existingSecret is needed: a Secret with POLYPORT_API_KEY, such as: kubectl create secret generic polyport --from-literal=POLYPORT_API_KEY=$(openssl rand -hex 24)" -}}
{{- end -}}
{{- if gt (int .Values.replicaCount) 1 -}}
{{- if not .Values.store.postgres -}}
{{- fail "replicaCount above 1 needs Postgres: an SQLite database belongs to one gateway; set store.postgres and put POLYPORT_STORE__URL into the Secret" -}}
{{- end -}}
{{- if and .Values.persistence.enabled (not .Values.persistence.existingClaim) (ne .Values.persistence.accessMode "ReadWriteMany") -}}
{{- fail "replicaCount above 1 needs a volume that all gateways can write: set persistence.accessMode to ReadWriteMany" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.host) -}}
{{- fail "ingress.host is needed where ingress.enabled is set" -}}
{{- end -}}
{{- end -}}
