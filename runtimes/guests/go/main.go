// Command csv turns context.text, comma-separated values whose first line names the columns, into records: objects from
// column to text. config.delimiter, one character, stands between values; it is a comma unless said otherwise.
package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"
)

type input struct {
	Config struct {
		Delimiter string `json:"delimiter"`
	} `json:"config"`
	Context struct {
		Text string `json:"text"`
	} `json:"context"`
}

type output struct {
	Status string `json:"status"`
	Output any    `json:"output,omitempty"`
	Error  string `json:"error,omitempty"`
}

func records(in io.Reader) ([]map[string]string, error) {
	var input input
	input.Config.Delimiter = ","
	if err := json.NewDecoder(in).Decode(&input); err != nil {
		return nil, err
	}
	delimiter, size := utf8.DecodeRuneInString(input.Config.Delimiter)
	if size == 0 || size != len(input.Config.Delimiter) {
		return nil, errors.New("config.delimiter must be one character")
	}

	reader := csv.NewReader(strings.NewReader(input.Context.Text))
	reader.Comma = delimiter
	columns, err := reader.Read()
	if err == io.EOF {
		return nil, errors.New("context.text is empty: its first line names the columns")
	}
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, column := range columns {
		if seen[column] {
			return nil, fmt.Errorf("two columns have the name %q", column)
		}
		seen[column] = true
	}

	rows, err := reader.ReadAll()
	if err != nil {
		return nil, err
	}
	records := make([]map[string]string, 0, len(rows))
	for _, row := range rows {
		record := make(map[string]string, len(columns))
		for i, column := range columns {
			record[column] = row[i]
		}
		records = append(records, record)
	}
	return records, nil
}

func main() {
	answer := output{Status: "ok"}
	if records, err := records(os.Stdin); err != nil {
		answer = output{Status: "error", Error: err.Error()}
	} else {
		answer.Output = records
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(answer); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
