package x1

// Kind is the RequestMessageType of the schema.
type Kind uint8

// The kinds of request. KindExtended stands for all that the schema does not name.
const (
	KindActivateTask Kind = iota + 1
	KindModifyTask
	KindDeactivateTask
	KindDeactivateAllTasks
	KindGetTaskDetails
	KindCreateDestination
	KindModifyDestination
	KindRemoveDestination
	KindRemoveAllDestinations
	KindGetDestinationDetails
	KindGetNEStatus
	KindGetAllDetails
	KindGetAllTaskDetails
	KindGetAllDestinationDetails
	KindGetAllGenericObjectDetails
	KindListAllDetails
	KindReportTaskIssue
	KindReportDestinationIssue
	KindReportNEIssue
	KindPing
	KindKeepalive
	KindCreateObject
	KindModifyObject
	KindGetObject
	KindDeleteObject
	KindListObjectsOfType
	KindDeleteAllObjects
	KindExtended
)

// kindNames are the schema's names in the order of the constants.
func kindNames() [KindExtended + 1]string {
	return [...]string{
		"invalid",
		"ActivateTask", "ModifyTask", "DeactivateTask", "DeactivateAllTasks", "GetTaskDetails",
		"CreateDestination", "ModifyDestination", "RemoveDestination", "RemoveAllDestinations", "GetDestinationDetails",
		"GetNEStatus", "GetAllDetails", "GetAllTaskDetails", "GetAllDestinationDetails", "GetAllGenericObjectDetails",
		"ListAllDetails", "ReportTaskIssue", "ReportDestinationIssue", "ReportNEIssue", "Ping", "Keepalive",
		"CreateObject", "ModifyObject", "GetObject", "DeleteObject", "ListObjectsOfType", "DeleteAllObjects",
		"ExtendedRequestMessageType",
	}
}

// String is the schema's name.
func (k Kind) String() string {
	names := kindNames()
	if int(k) >= len(names) {
		return names[0]
	}
	return names[k]
}

// parseKind reads a schema name; what the schema does not name is KindExtended.
func parseKind(name string) Kind {
	for k, n := range kindNames() {
		if k > 0 && n == name {
			return Kind(k)
		}
	}
	return KindExtended
}

// TaskReport is the TaskReportType of the schema (clause 6.5.2).
type TaskReport uint8

// The reports.
const (
	AllClear TaskReport = iota + 1
	Warning
	NonTerminatingFault
	TerminatingFault
	ImplicitDeactivation
	FullyActionedAndSuccessful
	FullyActionedAndUnsuccessful
)

func reportNames() [FullyActionedAndUnsuccessful + 1]string {
	return [...]string{
		"invalid", "AllClear", "Warning", "NonTerminatingFault", "TerminatingFault", "ImplicitDeactivation",
		"FullyActionedAndSuccessful", "FullyActionedAndUnsuccessful",
	}
}

// String is the schema's name.
func (r TaskReport) String() string {
	names := reportNames()
	if int(r) >= len(names) {
		return names[0]
	}
	return names[r]
}

func parseReport(name string) (TaskReport, bool) {
	for r, n := range reportNames() {
		if r > 0 && n == name {
			return TaskReport(r), true
		}
	}
	return 0, false
}

// NEIssue is the TypeOfNeIssueMessage of the schema (clause 6.5.4).
type NEIssue uint8

// The issues.
const (
	NEWarning NEIssue = iota + 1
	NEFaultCleared
	NEFaultReport
	NEAlert
)

func issueNames() [NEAlert + 1]string {
	return [...]string{"invalid", "Warning", "FaultCleared", "FaultReport", "Alert"}
}

// String is the schema's name.
func (i NEIssue) String() string {
	names := issueNames()
	if int(i) >= len(names) {
		return names[0]
	}
	return names[i]
}

func parseIssue(name string) (NEIssue, bool) {
	for i, n := range issueNames() {
		if i > 0 && n == name {
			return NEIssue(i), true
		}
	}
	return 0, false
}
