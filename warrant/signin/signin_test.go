package signin_test

import (
	"testing"
	"time"

	"github.com/ligate/ligate/warrant"
	"github.com/ligate/ligate/warrant/signin"
)

func TestDelayDoublesUpToAnHour(t *testing.T) {
	t.Parallel()
	for failures, want := range map[int]time.Duration{
		0: 0, 4: 0, 5: 15 * time.Second, 6: 30 * time.Second, 7: time.Minute, 12: 32 * time.Minute, 13: time.Hour, 1 << 30: time.Hour,
	} {
		if got := signin.Delay(failures, signin.FreeAccountFailures); got != want {
			t.Errorf("after %d failures: %v, want %v", failures, got, want)
		}
	}
}

func TestSecretsDiffer(t *testing.T) {
	t.Parallel()
	a, hashA := signin.NewSecret(signin.SessionPrefix)
	b, hashB := signin.NewSecret(signin.SessionPrefix)
	if a == b || string(hashA) == string(hashB) || len(a) < 43 || string(signin.Hash(a)) != string(hashA) {
		t.Error("secrets repeat, are short or hash differently")
	}
}

func TestMachineTokensOnlyRead(t *testing.T) {
	t.Parallel()
	now := time.Now()
	good := signin.MachineToken{Name: "monitor", Role: warrant.Auditor, Operations: []string{"list-alarms"}, ExpiresAt: now.Add(time.Hour)}
	if err := good.Validate(now); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*signin.MachineToken){
		"approves":           func(m *signin.MachineToken) { m.Operations = []string{"approve-warrant"} },
		"purges":             func(m *signin.MachineToken) { m.Operations = []string{"list-alarms", "purge-warrant"} },
		"adds people":        func(m *signin.MachineToken) { m.Operations = []string{"create-person"} },
		"is an approver":     func(m *signin.MachineToken) { m.Role = warrant.Approver },
		"names nothing":      func(m *signin.MachineToken) { m.Operations = nil },
		"lives too long":     func(m *signin.MachineToken) { m.ExpiresAt = now.Add(signin.MaxTokenValidity + time.Second) },
		"has ended":          func(m *signin.MachineToken) { m.ExpiresAt = now },
		"has no name":        func(m *signin.MachineToken) { m.Name = "" },
		"hides another name": func(m *signin.MachineToken) { m.Operations = []string{"list-alarms,approve-warrant"} },
	} {
		bad := good
		change(&bad)
		if bad.Validate(now) == nil {
			t.Errorf("a token that %s is valid", name)
		}
	}
}

func TestSessionEndsIdleAndAbsolute(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := signin.Session{SeenAt: now, ExpiresAt: now.Add(time.Hour)}
	if !s.Live(time.Minute, now.Add(59*time.Second)) || s.Live(time.Minute, now.Add(time.Minute)) || s.Live(2*time.Hour, now.Add(time.Hour)) {
		t.Error("a session lives longer than it may, or shorter")
	}
}
