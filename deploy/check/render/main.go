// Renders the chart's templates with what Helm gives them, as far as this chart uses it.
//
// From standard input: {"templates": "FOLDER", "context": {"Values": …, "Release": …, "Chart": …}}. To standard output: a text per file.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"text/template"

	"github.com/Masterminds/sprig"
)

type order struct {
	Templates string
	Context   map[string]interface{}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var wanted order
	if err := json.NewDecoder(os.Stdin).Decode(&wanted); err != nil {
		return err
	}
	all := template.New("chart").Option("missingkey=error")
	functions := sprig.TxtFuncMap()
	functions["include"] = func(name string, data interface{}) (string, error) {
		var out bytes.Buffer
		err := all.ExecuteTemplate(&out, name, data)
		return out.String(), err
	}
	functions["toYaml"] = func(value interface{}) (string, error) {
		lines, err := block(value)
		return strings.Join(lines, "\n"), err
	}
	functions["fail"] = func(why string) (string, error) { return "", errors.New(why) }
	all = all.Funcs(functions)
	var files []string
	walk := func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			files = append(files, path)
		}
		return err
	}
	if err := filepath.Walk(wanted.Templates, walk); err != nil {
		return err
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if _, err := all.New(path).Parse(string(text)); err != nil {
			return err
		}
	}
	rendered := map[string]string{}
	for _, path := range files {
		if filepath.Ext(path) == ".tpl" {
			continue
		}
		var out bytes.Buffer
		if err := all.ExecuteTemplate(&out, path, wanted.Context); err != nil {
			return err
		}
		rendered[path] = out.String()
	}
	return json.NewEncoder(os.Stdout).Encode(rendered)
}

// Block style, line by line; single values and what is empty are JSON, which is YAML as well.
func block(value interface{}) ([]string, error) {
	var lines []string
	add := func(head string, value interface{}, indent string) error {
		inner, err := block(value)
		if err != nil {
			return err
		}
		if isBlock(value) && strings.HasSuffix(head, ":") {
			lines = append(lines, head)
		} else {
			lines = append(lines, head+" "+inner[0])
			inner = inner[1:]
		}
		for _, line := range inner {
			lines = append(lines, indent+line)
		}
		return nil
	}
	if !isBlock(value) {
		text, err := json.Marshal(value)
		return []string{string(text)}, err
	}
	if list, ok := value.([]interface{}); ok {
		for _, item := range list {
			if err := add("-", item, "  "); err != nil {
				return nil, err
			}
		}
		return lines, nil
	}
	table := value.(map[string]interface{})
	var keys []string
	for key := range table {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	for _, key := range keys {
		name, err := json.Marshal(key)
		if err == nil {
			err = add(string(name)+":", table[key], "  ")
		}
		if err != nil {
			return nil, err
		}
	}
	return lines, nil
}

func isBlock(value interface{}) bool {
	switch value := value.(type) {
	case []interface{}:
		return len(value) > 0
	case map[string]interface{}:
		return len(value) > 0
	}
	return false
}
