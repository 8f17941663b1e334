package sipevent_test

import (
	"testing"

	"github.com/ligate/ligate/li/sipevent"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	const (
		plain  = "To: <sip:b@example.com>\r\n"
		tagged = "t : <sip:b@example.com;tag=no>\r\n ; tag = x\r\n"
	)
	request := func(method, to string) string {
		return method + " sip:b@example.com SIP/2.0\r\n" + to + "CSeq: 1 " + method + "\r\n\r\n"
	}
	response := func(status, method, to string) string {
		return "SIP/2.0 " + status + " x\r\n" + to + "CSeq: 1 " + method + "\r\n\r\n"
	}
	tests := map[string]struct {
		msg       string
		confirmed bool
		want      sipevent.Event
	}{
		"initial INVITE":            {request("INVITE", plain), false, sipevent.Event{Stage: sipevent.Begin, Method: "INVITE"}},
		"re-INVITE":                 {request("INVITE", tagged), true, sipevent.Event{Stage: sipevent.Continue, Method: "INVITE"}},
		"ringing":                   {response("180", "INVITE", tagged), false, sipevent.Event{Stage: sipevent.Continue, Method: "INVITE", Status: 180}},
		"answer":                    {response("200", "INVITE", tagged), false, sipevent.Event{Stage: sipevent.Continue, Method: "INVITE", Status: 200}},
		"busy":                      {response("486", "INVITE", tagged), false, sipevent.Event{Stage: sipevent.End, Method: "INVITE", Status: 486}},
		"challenge":                 {response("407", "INVITE", tagged), false, sipevent.Event{Stage: sipevent.Continue, Method: "INVITE", Status: 407}},
		"failed re-INVITE":          {response("488", "INVITE", tagged), true, sipevent.Event{Stage: sipevent.Continue, Method: "INVITE", Status: 488}},
		"ACK":                       {request("ACK", tagged), true, sipevent.Event{Stage: sipevent.Continue, Method: "ACK"}},
		"BYE":                       {request("BYE", tagged), true, sipevent.Event{Stage: sipevent.Continue, Method: "BYE"}},
		"answer to BYE":             {response("200", "BYE", tagged), true, sipevent.Event{Stage: sipevent.End, Method: "BYE", Status: 200}},
		"CANCEL":                    {request("CANCEL", plain), false, sipevent.Event{Stage: sipevent.Continue, Method: "CANCEL"}},
		"REGISTER":                  {request("REGISTER", plain), false, sipevent.Event{Stage: sipevent.Report, Method: "REGISTER"}},
		"answer to REGISTER":        {response("200", "REGISTER", tagged), false, sipevent.Event{Stage: sipevent.Report, Method: "REGISTER", Status: 200}},
		"INFO in a dialog":          {request("INFO", tagged), true, sipevent.Event{Stage: sipevent.Continue, Method: "INFO"}},
		"unknown method in dialog":  {request("XYZZY", tagged), true, sipevent.Event{Stage: sipevent.Continue, Method: "OTHER"}},
		"unknown method, no dialog": {request("XYZZY", plain), false, sipevent.Event{Stage: sipevent.Report, Method: "OTHER"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := sipevent.Classify([]byte(tt.msg), tt.confirmed)
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
			back, err := sipevent.DecodeEvent(sipevent.AppendEvent(nil, got))
			if err != nil || back != got {
				t.Errorf("round trip: %+v, %v", back, err)
			}
		})
	}
	for _, bad := range []string{"", "INVITE", "INVITE sip:x\r\n\r\n", "SIP/2.0 99 x\r\n\r\n", "SIP/2.0 7000 x\r\n\r\n"} {
		if e, err := sipevent.Classify([]byte(bad), false); err == nil {
			t.Errorf("%q gave %+v", bad, e)
		}
	}
}

func FuzzClassify(f *testing.F) {
	f.Add([]byte("INVITE sip:b SIP/2.0\r\nTo: x\r\nCSeq: 1 INVITE\r\n\r\n"), false)
	f.Fuzz(func(t *testing.T, b []byte, confirmed bool) {
		e, err := sipevent.Classify(b, confirmed)
		if err != nil {
			return
		}
		if back, err := sipevent.DecodeEvent(sipevent.AppendEvent(nil, e)); err != nil || back != e {
			t.Fatalf("%+v came back as %+v, %v", e, back, err)
		}
	})
}
