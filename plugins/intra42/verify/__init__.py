"""What no listing tells: absences, silent changes, people who are gone."""
