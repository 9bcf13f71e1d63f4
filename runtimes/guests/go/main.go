// Command csv turns context.text, comma-separated values whose first line names the columns, into records: objects from
// column to text. config.delimiter, one character, stands between values; it is a comma unless said otherwise.
package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	arawn "example.com/libarawn/runtimes/sdk-go"
)

type config struct {
	Delimiter *string `json:"delimiter"`
}

type context struct {
	Text string `json:"text"`
}

type record map[string]string

func records(config config, context context) ([]record, error) {
	reader := csv.NewReader(strings.NewReader(context.Text))
	if config.Delimiter != nil {
		delimiter, size := utf8.DecodeRuneInString(*config.Delimiter)
		if size == 0 || size != len(*config.Delimiter) {
			return nil, errors.New("config.delimiter must be one character")
		}
		reader.Comma = delimiter
	}
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
	records := make([]record, 0, len(rows))
	for _, row := range rows {
		record := make(record, len(columns))
		for i, column := range columns {
			record[column] = row[i]
		}
		records = append(records, record)
	}
	return records, nil
}

func main() {
	arawn.Run(records)
}
