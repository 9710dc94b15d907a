package main

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

const (
	// Different URIs that are counted by name; a client that makes them up ends up under "other".
	urisMax = 256
	// Longest URI that is kept.
	uriBytesMax = 512
	// Times of requests that are kept, the newest: more than a figure has observations.
	arrivalsMax = 256
)

// seen counts what was asked and what was served.
type seen struct {
	mutex    sync.Mutex
	requests map[string]int
	uris     map[string]int
	decoy    map[string]int
	bodies   map[string]body
	arrivals []time.Time
	open     int
}

// body is the last whole answer of a path.
type body struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// report is the answer of /seen.
type report struct {
	Mode string `json:"mode"`
	// Requests by path, whatever came of them.
	Requests map[string]int `json:"requests"`
	// Requests by path and query.
	URIs map[string]int `json:"uris"`
	// Requests to the place where redirects lead.
	Decoy map[string]int `json:"decoy"`
	// The last body by path of those that were sent to their end.
	Bodies map[string]body `json:"bodies"`
	// When the newest requests came, the oldest first.
	Arrivals []time.Time `json:"arrivals"`
	// Answers that go on now.
	Open int `json:"open"`
}

func newSeen() *seen {
	made := &seen{}
	made.forget()
	return made
}

func (s *seen) forget() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.requests, s.uris, s.decoy, s.bodies = map[string]int{}, map[string]int{}, map[string]int{}, map[string]body{}
	s.arrivals = []time.Time{}
}

// asked counts a request and returns how many of its path came before it, and what to call at its end.
func (s *seen) asked(request *http.Request) (before int, finished func()) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	before = count(s.requests, request.URL.Path)
	count(s.uris, request.RequestURI)
	if len(s.arrivals) == arrivalsMax {
		s.arrivals = slices.Delete(s.arrivals, 0, 1)
	}
	s.arrivals = append(s.arrivals, time.Now().UTC())
	s.open++
	return before, func() {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.open--
	}
}

func (s *seen) askedDecoy(request *http.Request) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	count(s.decoy, request.RequestURI)
}

func (s *seen) sent(path string, sent body) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if _, known := s.bodies[path]; known || len(s.bodies) < urisMax {
		s.bodies[path] = sent
	}
}

func (s *seen) report(mode string) report {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return report{
		Mode: mode, Requests: maps.Clone(s.requests), URIs: maps.Clone(s.uris),
		Decoy: maps.Clone(s.decoy), Bodies: maps.Clone(s.bodies), Arrivals: slices.Clone(s.arrivals), Open: s.open,
	}
}

func count(counts map[string]int, key string) (before int) {
	if len(key) > uriBytesMax {
		key = key[:uriBytesMax]
	}
	if _, known := counts[key]; !known && len(counts) >= urisMax {
		key = "other"
	}
	counts[key]++
	return counts[key] - 1
}
