"""The mutants: `SEEDS` are defects of older mirrors of the same API, `OURS` are our own."""

from __future__ import annotations

from dev.mutants.model import Edit, Mutant

_API = "plugins/intra42/api/"
_OURS = "plugins/intra42/"
_SQL = "include/sql/"
_ALL = "tests/integration/sync/"
_LISTINGS = "tests/unit/api/test_listings.py::"
_CLIENT = "tests/unit/api/test_client.py::"
_LIMITER = "tests/integration/api/test_shared_limiter.py::"
_WINDOWS = f"{_ALL}test_windows.py::"
_DELETES = f"{_ALL}test_deletes.py::"
_MERGE = f"{_ALL}test_merge.py::"
_AUDIT = f"{_ALL}test_audit.py::"
_BAD = f"{_ALL}test_bad_input.py::"
_CHECKPOINTS = f"{_ALL}test_checkpoints.py::"
_FIRST_LOAD = f"{_ALL}test_first_load.py::"
_PARENTS = f"{_ALL}test_parents.py::"
_FOUND = f"{_ALL}test_found.py::"
_FLIGHT = f"{_ALL}test_in_flight.py::"
_ONE_CURSUS = (
    f"{_ALL}test_piscines.py::test_a_run_about_one_cursus_leaves_the_rows_as_the_settings_want_them"
)
_UNIT_FLIGHT = "tests/unit/sync/test_flight.py::"

SEEDS = (
    Mutant(
        "failure-is-absence",
        "an error while asking by id counts as rows that are gone",
        (
            Edit(
                f"{_OURS}verify/absence.py",
                "        seen = place.read([*part, *known])\n",
                "        try:\n"
                "            seen = place.read([*part, *known])\n"
                "        except Exception:\n"
                "            seen = place.read(known)\n",
            ),
        ),
        ("tests/faults/test_delete_faults.py::test_an_error_by_id_is_red_and_no_proof",),
    ),
    Mutant(
        "empty-list-prunes",
        "an empty list of achievements removes the links of the campus",
        (
            Edit(f"{_OURS}read/by_campus.py", "        if not ids:\n", "        if ids is None:\n"),
            Edit(f"{_OURS}read/by_campus.py", "    if ids:\n", "    if ids is not None:\n"),
        ),
        (
            "tests/integration/sync/test_proofs.py::"
            + "test_empty_lists_of_achievements_unlink_nothing_however_often",
        ),
    ),
    Mutant(
        "error-object-is-an-empty-list",
        "an error object with status 200 counts as a list without rows",
        (
            Edit(
                f"{_API}responses.py",
                '        _refuse(label, "a JSON list", _kind(records))\n',
                "        records = []\n",
            ),
        ),
        (f"{_CLIENT}test_a_passing_fault_costs_one_more_request",),
    ),
    Mutant(
        "window-from-the-clock",
        "a window covers the last quarter hour instead of beginning at the watermark",
        (
            Edit(
                f"{_OURS}run/primary.py",
                "window.since_watermark(group.watermark, lookback, now)",
                "window.since_watermark(now - timedelta(minutes=15), lookback, now)",
            ),
        ),
        (f"{_WINDOWS}test_an_outage_of_days_is_caught_up_by_the_next_run",),
    ),
    Mutant(
        "queue-emptied-before-the-work",
        "users leave the queue when they are picked, not when their rows are stored",
        (
            Edit(
                f"{_OURS}read/history.py",
                "            self.add(chunk)\n        chunk = self._waiting.pop()\n",
                "            self.add(chunk)\n"
                "            self._work.execute(\n"
                '                "jobs/finish_users",\n'
                "                users=chunk.users,\n"
                "                **chunk.key,\n"
                "                **_queue(self._work, self._reader.resource),\n"
                "            )\n"
                "        chunk = self._waiting.pop()\n",
            ),
        ),
        (f"{_CHECKPOINTS}test_a_killed_first_load_asks_no_page_twice",),
    ),
    Mutant(
        "limiter-does-not-wait",
        "a slot is reserved and not waited for",
        (
            Edit(
                f"{_API}limiter.py",
                "            log_wait(wait_s)\n            self._sleep(wait_s)\n",
                "            log_wait(wait_s)\n",
            ),
        ),
        (f"{_LIMITER}test_a_pause_holds_everybody_and_then_lets_them_out_one_by_one",),
    ),
    Mutant(
        "window-closed-by-our-clock",
        "an open window ends at the client's clock",
        (
            Edit(
                f"{_OURS}read/window.py",
                "if window.until else FAR_FUTURE",
                "if window.until else iso(datetime.now(UTC))",
            ),
        ),
        (
            "tests/unit/sync/test_window.py::"
            + "test_an_open_window_ends_in_the_far_future_and_a_closed_one_where_it_says",
        ),
    ),
    Mutant(
        "bad-record-swallowed",
        "a record that cannot be stored is dropped instead of parked",
        (
            Edit(
                f"{_OURS}store/page.py",
                "        park(work, resource, [item], answer)\n",
                "        pass\n",
            ),
        ),
        (f"{_BAD}test_a_bad_record_is_parked_with_the_fields_we_read_and_the_watermark_moves",),
    ),
    Mutant(
        "watermark-before-its-rows",
        "position and watermark commit before the rows of the page",
        (
            Edit(
                f"{_OURS}store/reading.py",
                "        self.absorb([page for _series, page in landed], trust, checkpoint)\n",
                "        self.work.commit(checkpoint)\n"
                "        self.absorb([page for _series, page in landed], trust, lambda: None)\n",
            ),
        ),
        (f"{_CHECKPOINTS}test_a_kill_in_the_middle_of_a_transaction_leaves_nothing_behind",),
    ),
    Mutant(
        "links-removed-without-owner",
        "a list that lacks a pair removes those of all parents, not only its own",
        (
            Edit(
                f"{_SQL}links.sql",
                "where pair.{own} = lacking.own_id and pair.{other} = lacking.other_id\n",
                "where pair.{other} = lacking.other_id\n",
            ),
        ),
        (f"{_PARENTS}test_link_rows_follow_their_parents_fresh_list",),
    ),
    Mutant(
        "nought-is-null",
        "0, false and empty text are stored as null",
        (
            Edit(
                f"{_OURS}store/rows.py",
                "                if value is not None and value is not _MISSING:\n",
                "                if value and value is not _MISSING:\n",
            ),
        ),
        ("tests/unit/sync/test_rows.py::test_marks_stay_what_they_are",),
    ),
    Mutant(
        "no-witness",
        "an answer without a single row proves that all rows asked for are gone",
        (
            Edit(
                f"{_OURS}verify/absence.py",
                "        if matters and not seen.shown and not place.is_unknown():\n",
                "        if seen is None:\n",
            ),
        ),
        (f"{_DELETES}test_an_empty_second_answer_is_red_and_deletes_nothing",),
    ),
    Mutant(
        "no-lock",
        "two tasks of one DAG read the same table at once",
        (Edit(f"{_OURS}store/reading.py", "    if row and row[0]:\n", "    if row:\n"),),
        (f"{_MERGE}test_two_tasks_of_one_dag_and_table_do_not_read_at_once",),
    ),
    Mutant(
        "token-not-renewed",
        "a refused token ends the task",
        (
            Edit(
                f"{_API}client.py",
                "case Action.RENEW if not call.renewed:",
                "case Action.RENEW if call.renewed:",
            ),
        ),
        (f"{_CLIENT}test_a1_a_refused_token_is_renewed_and_the_request_repeated_once",),
    ),
    Mutant(
        "token-read-before-the-wait",
        "the token is read when a request queues up, and expires while it waits",
        (
            Edit(
                f"{_API}client.py",
                "            self._limiter.wait_turn()\n            token = self._tokens.token()\n",
                "            token = self._tokens.token()\n            self._limiter.wait_turn()\n",
            ),
        ),
        (f"{_CLIENT}test_a2_a_token_that_expires_while_we_wait_for_our_turn_is_not_sent",),
    ),
    Mutant(
        "server-errors-are-final",
        "500, 502, 503 and 504 are not tried again",
        (
            Edit(
                f"{_API}responses.py",
                "    **dict.fromkeys((500, 502, 503, 504), Action.RETRY),\n",
                "    **dict.fromkeys((500, 502, 503, 504), Action.FATAL),\n",
            ),
        ),
        (f"{_CLIENT}test_a_passing_fault_costs_one_more_request",),
    ),
)

OURS = (
    Mutant(
        "part-ends-the-chunk",
        "users leave the queue when one part of their rows is stored, not with the last one",
        (
            Edit(
                f"{_SQL}jobs.sql",
                "and first_user = %(first_user)s and part <> %(part)s\n",
                "and false\n",
            ),
        ),
        (f"{_FLIGHT}test_what_is_left_of_a_chunk_is_read_though_a_part_of_it_was_done",),
    ),
    Mutant(
        "answers-lost-with-an-error",
        "what was answered beside a request that failed is thrown away and asked for again",
        (
            Edit(
                f"{_OURS}api/flight.py",
                "                if error is None:\n",
                "                if error is None and self._error is None:\n",
            ),
        ),
        (f"{_UNIT_FLIGHT}test_what_was_answered_is_handed_out_before_an_error",),
    ),
    Mutant(
        "one-absence-is-enough",
        "a row is deleted after the first look, whatever the second one shows",
        (
            Edit(
                f"{_OURS}verify/absence.py",
                "for number in part if number not in seen.shown}",
                "for number in part}",
            ),
            # What the second look shows is stored, and stays for that reason, too.
            Edit(
                f"{_OURS}verify/absence.py",
                "sorted(gone.keys() - seen_since(work, resource.name, since_first))\n",
                "sorted(gone.keys())\n",
            ),
        ),
        (f"{_DELETES}test_a_row_hidden_for_one_answer_only_stays",),
    ),
    Mutant(
        "watermark-of-the-last-answer",
        "the watermark is the clock of the last answer, not of the first",
        (
            Edit(
                f"{_OURS}read/legs.py",
                "        self._clock = self._clock or page.answer.sent_at\n",
                "        self._clock = page.answer.sent_at\n",
            ),
            Edit(
                f"{_SQL}jobs.sql",
                "  clock = least(clock, %(clock)s),\n",
                "  clock = greatest(clock, %(clock)s),\n",
            ),
        ),
        (f"{_WINDOWS}test_a_long_listing_has_the_watermark_of_its_first_page",),
    ),
    Mutant(
        "pages-by-number",
        "pages are asked for by number, so a row that leaves pulls others up unseen",
        (
            Edit(
                f"{_API}keyset.py",
                "    reader = _Keyset(client, path, params, page_size, sortable, highest)\n",
                "    listing = Listing(path, params)\n"
                "    while True:\n"
                '        paging = {"page[number]": str(number), "page[size]": str(page_size)}\n'
                '        answer = client.get(path, {**params, "sort": "id", **paging})\n'
                "        rest = max(answer.total - number * answer.per_page, 0)\n"
                "        ids = [record_id(record) or 0 for record in answer.records]\n"
                "        yield Page(\n"
                "            number=number,\n"
                "            pages=number + math.ceil(rest / answer.per_page),\n"
                "            records=answer.records,\n"
                "            answer=answer,\n"
                "            after=after,\n"
                "            last_id=max(ids, default=after),\n"
                "            remaining=rest,\n"
                "            done=not rest,\n"
                "            listing=listing,\n"
                "        )\n"
                "        if not rest:\n"
                "            return\n"
                "        number += 1\n"
                "    reader = _Keyset(client, path, params, page_size, sortable, highest)\n",
            ),
        ),
        (f"{_LISTINGS}test_rows_that_leave_while_we_read_shift_no_other",),
    ),
    Mutant(
        "short-page-is-the-end",
        "a page with fewer rows than it may hold ends the listing",
        (
            Edit(
                f"{_API}keyset.py",
                "        if rows == want == len(answer.records):\n",
                "        if rows <= want:\n",
            ),
            Edit(
                f"{_API}keyset.py",
                "            done=done,\n",
                "            done=len(records) < answer.per_page,\n",
            ),
        ),
        (f"{_LISTINGS}test_a_page_that_disagrees_with_its_total_is_asked_for_again",),
    ),
    Mutant(
        "moved-total-believed",
        "a numbered listing that moved while it was read counts as complete",
        (
            Edit(
                f"{_API}numbered.py",
                "            complete = found == answer.total and settled\n",
                "            complete = found > 0 or not answer.total\n",
            ),
        ),
        (f"{_LISTINGS}test_a_row_that_slips_between_numbered_pages_is_found_by_reading_again",),
    ),
    Mutant(
        "no-guard",
        "any number of rows may be deleted at once",
        (
            Edit(
                f"{_OURS}verify/absence.py",
                "    if work.request.allow_mass_delete:\n",
                "    if work is not None:\n",
            ),
        ),
        (f"{_DELETES}test_more_than_a_run_may_delete_is_refused_whole",),
    ),
    Mutant(
        "no-guard-of-the-day",
        "both DAGs together may delete without end, if a run deletes little",
        (
            Edit(
                f"{_OURS}verify/absence.py",
                "        if before + now > allowed:\n",
                "        if now > allowed:\n",
            ),
        ),
        (f"{_DELETES}test_both_dags_together_stay_below_the_guard_of_a_day",),
    ),
    Mutant(
        "no-tombstone",
        "deleted rows leave nothing behind",
        (
            Edit(
                f"{_SQL}absence.sql",
                "from gone as e\n  join intra42.users as u on u.id = e.user_id\n",
                "from gone as e\n  join intra42.users as u on u.id = e.user_id and false\n",
            ),
        ),
        (f"{_DELETES}test_a_row_that_vanished_leaves_a_tombstone",),
    ),
    Mutant(
        "deleted-though-seen-later",
        "a row that was seen after the proof of its absence is deleted",
        (
            Edit(
                f"{_SQL}absence.sql",
                "greatest(e._seq, v.seq) > p.first_seq",
                "e.id is null",
            ),
        ),
        (f"{_MERGE}test_a_row_seen_after_the_proof_is_not_deleted",),
    ),
    Mutant(
        "older-answer-overwrites",
        "the answer that is stored last wins, however old it is",
        (Edit(f"{_SQL}merge.sql", " and ({guard})\n", "\n"),),
        (f"{_MERGE}test_the_newest_observation_stays",),
    ),
    Mutant(
        "late-writer-fails",
        "of two writers of a new row, the later one fails",
        (Edit(f"{_OURS}attempt/work.py", "            errors.UniqueViolation,\n", ""),),
        (f"{_MERGE}test_the_later_writer_of_a_new_row_merges_with_the_first",),
    ),
    Mutant(
        "older-page-revives",
        "a page asked for before the proof brings a deleted row back",
        (Edit(f"{_SQL}merge.sql", "grave.seq >= answer.seq", "grave.seq is null"),),
        (f"{_MERGE}test_a_row_found_gone_is_not_brought_back_by_an_older_page",),
    ),
    Mutant(
        "nested-copy-overwrites",
        "a user nested in another record overwrites a newer row",
        (
            Edit(
                f"{_OURS}store/loading.py",
                '    if trust is Trust.EMBEDDED:\n        return read("merge/guard_embedded")\n',
                "",
            ),
        ),
        (f"{_MERGE}test_an_embedded_user_changes_a_row_only_where_it_is_clearly_newer",),
    ),
    Mutant(
        "unchanged-rows-rewritten",
        "rows that did not change are written again",
        (
            Edit(
                f"{_SQL}merge.sql",
                "({mine}) is distinct from ({excluded}) and ",
                "",
            ),
        ),
        (f"{_FIRST_LOAD}test_twice_is_once_down_to_the_tuple",),
    ),
    Mutant(
        "empty-answer-moves-the-watermark",
        "an answer without rows moves the watermark",
        (
            Edit(
                f"{_SQL}jobs.sql",
                "leg.job_id = j.id and leg.answered and",
                "leg.job_id = j.id and",
            ),
        ),
        (f"{_WINDOWS}test_an_empty_answer_moves_no_watermark",),
    ),
    Mutant(
        "no-lookback",
        "a window begins at the watermark itself, without an overlap",
        (
            Edit(
                f"{_OURS}read/window.py",
                "    return Window(since=watermark - lookback)\n",
                "    return Window(since=watermark)\n",
            ),
        ),
        (f"{_WINDOWS}test_a_row_that_was_committed_late_is_found_by_the_lookback",),
    ),
    Mutant(
        "ignored-id-range-believed",
        "an endpoint that ignores range[id] is read round and round",
        (
            Edit(
                f"{_API}keyset.py",
                "        if ids and ids[0] < lowest:\n",
                "        if ids and ids[0] < 0:\n",
            ),
        ),
        (f"{_LISTINGS}test_p14_an_ignored_range_is_noticed_on_the_second_page",),
    ),
    Mutant(
        "ignored-time-range-believed",
        "an endpoint that ignores range[updated_at] is read to its end",
        (
            Edit(
                f"{_OURS}read/legs.py",
                "    if foreign * 2 > len(page.records):\n",
                "    if foreign < 0:\n",
            ),
        ),
        (f"{_BAD}test_an_ignored_range_of_times_is_red_on_the_first_page",),
    ),
    Mutant(
        "no-history",
        "users who enter bring none of their older rows",
        (
            Edit(
                f"{_OURS}store/admission.py",
                '        work.execute("jobs/enqueue", resources=queued, users=sorted(entering))\n',
                "",
            ),
        ),
        (f"{_FIRST_LOAD}test_a_transfer_in_brings_his_whole_history",),
    ),
    Mutant(
        "derived-columns-stay",
        "columns copied from another table do not follow it",
        (
            Edit(
                f"{_OURS}store/page.py",
                "    if resource.followed_by is None or not merged:\n",
                "    if not merged or resource:\n",
            ),
        ),
        (f"{_PARENTS}test_a_users_campus_follows_and_his_attempts_follow_him",),
    ),
    Mutant(
        "no-restore",
        "nobody asks again for enrolments that were deleted",
        (
            Edit(
                f"{_OURS}verify/refresh.py",
                "absence.lately_buried(work, reader.resource) if work.is_loader else []",
                "[]",
            ),
        ),
        (f"{_DELETES}test_a_deleted_row_that_is_back_is_restored_and_its_grave_says_so",),
    ),
    Mutant(
        "erasure-spares-tombstones",
        "the tombstones of an erased account keep its values",
        (
            Edit(
                f"{_SQL}erasure.sql",
                "  set row = jsonb_build_object('id', t.id, 'user_id', gone.id), purged",
                "  set row = t.row, purged",
            ),
        ),
        (f"{_AUDIT}test_an_account_that_is_gone_disappears_from_every_table",),
    ),
    Mutant(
        "parked-for-ever",
        "parked records are never asked for again",
        (Edit(f"{_OURS}run/primary.py", "        _retry_parked(work, reader)\n", ""),),
        (f"{_BAD}test_a_parked_record_is_asked_for_again_and_removed_once_it_is_good",),
    ),
    Mutant(
        "counts-not-compared",
        "the audit takes every number of rows for the right one",
        (
            Edit(
                f"{_OURS}verify/audit.py",
                "    elif answer.total != len(ours | _parked(work, item, part)):\n",
                "    elif answer.total < 0:\n",
            ),
        ),
        (f"{_AUDIT}test_a_difference_among_many_rows_is_cornered",),
    ),
    Mutant(
        "budget-before-the-urgent",
        "the budget also limits the enrolments of users with a new attempt",
        (
            Edit(
                f"{_OURS}verify/refresh.py",
                "    chosen = urgent + (rest if budget is None else"
                " rest[: max(0, budget - len(urgent))])\n",
                "    chosen = (urgent + rest)[:budget]\n",
            ),
        ),
        (f"{_ALL}test_story.py::test_a_level_moves_silently_and_an_applicant_leaves",),
    ),
    Mutant(
        "429-pauses-nobody-else",
        "only the task that was refused pauses",
        (
            Edit(
                f"{_API}client.py",
                "        self._limiter.pause(pause_s)\n",
                "        self._sleep(pause_s)\n",
            ),
        ),
        (f"{_CLIENT}test_t1_a_429_makes_everybody_pause_as_long_as_asked",),
    ),
    Mutant(
        "bulk-takes-the-hour",
        "bulk work leaves nothing of the hour to the incremental runs",
        (
            Edit(
                f"{_SQL}functions/quota.sql",
                "    if not p_bulk then\n",
                "    if p_bulk is not null then\n",
            ),
        ),
        (f"{_LIMITER}test_bulk_work_leaves_each_quarter_hour_its_share",),
    ),
    Mutant(
        "params-overrule-the-settings",
        "what is of several cursus is of the one that a run is about",
        (
            Edit(
                "plugins/intra42/settings.py",
                "(*getattr(self.standing, scope), *getattr(self.config, scope))",
                "(*getattr(self.config, scope), *getattr(self.standing, scope))",
            ),
        ),
        (_ONE_CURSUS,),
    ),
    Mutant(
        "one-listing-unlists-the-rest",
        "projects of the cursus that a run does not ask for are no longer listed",
        (
            Edit(
                "plugins/intra42/settings.py",
                "set(self.standing.cursus_ids) <= set(self.config.cursus_ids)",
                "bool(self.standing.cursus_ids)",
            ),
        ),
        (_ONE_CURSUS,),
    ),
    Mutant(
        "silence-is-an-event",
        "a level that was recomputed silently counts as one that the API told",
        (
            Edit(
                f"{_SQL}functions/levels.sql",
                "      when fresh.updated_at is distinct from stale.updated_at then 'event'\n",
                "      when true then 'event'\n",
            ),
        ),
        (f"{_ALL}test_levels.py::test_a_change_says_how_it_was_found",),
    ),
)

MUTANTS = SEEDS + OURS
