package show

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/meshc/meshc/compiler/diag"
	"github.com/meshc/meshc/compiler/expect"
)

// The elements of JUnit's XML that CI systems read: a suite for each service,
// gateway and the mesh, and a case for each expectation.
type (
	suites struct {
		XMLName  xml.Name `xml:"testsuites"`
		Name     string   `xml:"name,attr"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Errors   int      `xml:"errors,attr"`
		Suites   []suite
	}
	suite struct {
		XMLName  xml.Name `xml:"testsuite"`
		Name     string   `xml:"name,attr"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Errors   int      `xml:"errors,attr"`
		Cases    []testCase
	}
	testCase struct {
		XMLName   xml.Name `xml:"testcase"`
		Class     string   `xml:"classname,attr"`
		Name      string   `xml:"name,attr"`
		File      string   `xml:"file,attr"`
		Line      int      `xml:"line,attr"`
		Failure   *outcome `xml:"failure"`
		Error     *outcome `xml:"error"`
		SystemOut string   `xml:"system-out,omitempty"`
	}
	outcome struct {
		Type    string `xml:"type,attr"`
		Message string `xml:"message,attr"`
		Text    string `xml:",chardata"`
	}
)

// JUnit writes a report as JUnit's XML. What does not hold, or is about nothing,
// is a failure, and what could not be told an error.
func JUnit(w io.Writer, r *expect.Report, place func(diag.Range) string) error {
	all := suites{Name: "meshc test", Tests: len(r.Results)}
	index := map[string]int{}
	for i := range r.Results {
		e := &r.Results[i]
		n, ok := index[e.Owner]
		if !ok {
			n = len(all.Suites)
			index[e.Owner] = n
			all.Suites = append(all.Suites, suite{Name: e.Owner})
		}
		s := &all.Suites[n]
		c := caseOf(e, place)
		s.Tests++
		switch {
		case c.Failure != nil:
			s.Failures++
			all.Failures++
		case c.Error != nil:
			s.Errors++
			all.Errors++
		}
		s.Cases = append(s.Cases, c)
	}
	body, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("encode JUnit: %w", err)
	}
	_, err = io.WriteString(w, xml.Header+string(body)+"\n")
	return err
}

func caseOf(e *expect.Result, place func(diag.Range) string) testCase {
	file, _, _ := strings.Cut(place(e.At), ":")
	c := testCase{Class: strings.ReplaceAll(e.Owner, " ", "."), Name: e.Name, File: file, Line: int(e.At.Start.Line)}
	if e.Verdict == expect.Holds {
		c.SystemOut = looked(e)
		return c
	}
	var text strings.Builder
	result(&text, e, place)
	o := &outcome{Type: string(codeOf(e)), Message: said(e), Text: text.String()}
	if e.Verdict == expect.Unknown {
		c.Error = o
	} else {
		c.Failure = o
	}
	return c
}
