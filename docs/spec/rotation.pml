/*
 * The protocol of rotation, for spin: one token family, two servers on one database, an honest client whose answers get
 * lost, a thief with a copy of a token, and a logout. It stands apart from the code so that the promises can be checked
 * over every interleaving, not over those that a test happens to meet.
 *
 * A request runs in steps that others may come between: a compare-and-swap without a lock (the statement for all plain
 * rotations), else the decision under the row's lock, then a crash or the answer. Mutants (-D): NO_CAS, REVOKE_ASIDE,
 * NEW_SUCCESSOR, REUSE_IGNORED, LATE_REVOKE; each must break a promise.
 *
 * Assumed, not proven: the database's row lock and its durable commit, unforgeable tokens, windows that have not passed.
 */

#define LAST 2        /* generations 0 .. LAST */
#define NOBODY 0
#define HONEST 1
#define THIEF 2

mtype = { rotated, replayed, reused, revoked_, lost };

/* The family row. */
byte generation = 0;
byte jti[5];          /* of each generation, as the row had it when that was current */
byte madeBy = NOBODY; /* whose key made the current generation; every requester has its own key for each token */
bool ended = false;
byte fresh = 1;

/* What observers know. */
byte sent[5];         /* the successor of each generation that was ever answered */
byte passed = 0;      /* 1 + the highest generation whose use was answered 200 */
bool endAnswered = false; /* an end of the family was answered, as reuse or as logout */
bool theft = false;   /* the thief has presented a token */
bool loggedOut = false;

/* The answer that a 200 carries. */
inline answered(n, token, passedBefore, endedBefore) {
  d_step {
    assert(!endedBefore);                        /* revocation wins */
    assert(n + 1 >= passedBefore);               /* no way back */
    assert(sent[n] == 0 || sent[n] == token);    /* one successor */
    sent[n] = token;
    if
    :: n + 1 > passed -> passed = n + 1
    :: else -> skip
    fi
  }
}

/* One request with generation n, token t, of one requester. */
proctype request(byte n; byte t; byte who; chan reply) {
  byte token = 0;
  mtype verdict = lost;
  byte passedBefore;
  bool endedBefore;
  d_step { passedBefore = passed; endedBefore = endAnswered }

  /* The compare-and-swap. */
#ifdef NO_CAS
  bool looksCurrent = false;
  if
  :: atomic { !ended && generation == n && jti[n] == t -> looksCurrent = true }
  :: else -> skip
  fi;
  if
  :: looksCurrent -> atomic {
       generation = n + 1; jti[n + 1] = fresh; fresh++; madeBy = who; token = jti[n + 1]; verdict = rotated }
  :: else -> skip
  fi;
#else
  atomic {
    if
    :: !ended && generation == n && jti[n] == t ->
         generation = n + 1; jti[n + 1] = fresh; fresh++; madeBy = who; token = jti[n + 1]; verdict = rotated
    :: else -> skip
    fi
  };
#endif

  /* The decision, under the row's lock. */
  if
  :: verdict == lost -> atomic {
       if
       :: ended -> verdict = revoked_
       :: else ->
            if
            :: generation == n && jti[n] == t ->
                 generation = n + 1; jti[n + 1] = fresh; fresh++; madeBy = who; token = jti[n + 1]; verdict = rotated
            :: generation == n + 1 && madeBy == who ->
#ifdef NEW_SUCCESSOR
                 jti[n + 1] = fresh; fresh++;
#endif
                 token = jti[n + 1]; verdict = replayed
            :: else ->
#ifdef REUSE_IGNORED
                 verdict = revoked_
#else
                 verdict = reused;
#ifndef LATE_REVOKE
                 ended = true
#endif
#endif
            fi
       fi }
  :: else -> skip
  fi;

  /* The server may die between the commit and the answer. */
  if
  :: reply ! lost, 0
  :: d_step {
       if
       :: verdict == reused || verdict == revoked_ -> endAnswered = true
       :: else -> skip
       fi };
#ifdef LATE_REVOKE
     if
     :: verdict == reused -> ended = true
     :: else -> skip
     fi;
#endif
     if
     :: verdict == rotated || verdict == replayed -> answered(n, token, passedBefore, endedBefore)
     :: else -> skip
     fi;
     reply ! verdict, token
  fi
}

/* Keeps its rules: the same request until it is answered, one at a time or twice at once, the pair stored before its use. */
proctype honest() {
  chan reply = [2] of { mtype, byte };
  byte n = 0, t = jti[0], token, tries, outstanding, next;
  mtype verdict;
  bool out = false;
  do
  :: out || n == LAST -> break
  :: !out && n < LAST ->
       next = 0; tries = 0;
       do
       :: next != 0 || out || tries == 2 -> break
       :: next == 0 && !out && tries < 2 ->
            tries++; outstanding = 1;
            run request(n, t, HONEST, reply);
            if
            :: run request(n, t, HONEST, reply); outstanding = 2   /* two tabs, one key */
            :: skip
            fi;
            do
            :: outstanding == 0 -> break
            :: outstanding > 0 ->
                 reply ? verdict, token;
                 outstanding--;
                 if
                 :: verdict == rotated || verdict == replayed ->
                      assert(next == 0 || next == token);          /* both tabs hold the same pair */
                      next = token
                 :: verdict == reused || verdict == revoked_ ->
                      assert(theft || loggedOut);                  /* nobody is locked out by crashes and retries */
                      out = true
                 :: verdict == lost -> skip
                 fi
            od
       od;
       if
       :: next != 0 && !out -> n++; t = next
       :: else -> break
       fi
  od
}

/* Has a copy of some token and presents it once, with a key of its own. */
proctype thief() {
  chan reply = [1] of { mtype, byte };
  byte n, t, token;
  mtype verdict;
  if
  :: skip                                                          /* no theft happens */
  :: atomic { n = 0; t = jti[0]; theft = true };
     run request(n, t, THIEF, reply); reply ? verdict, token
  :: atomic { generation >= 1 -> n = generation - 1; t = jti[n]; theft = true };
     run request(n, t, THIEF, reply); reply ? verdict, token
  fi
}

/* Whoever holds the session may end it. */
proctype logout() {
  if
  :: skip
  :: loggedOut = true;
#ifdef REVOKE_ASIDE
     endAnswered = true;                                           /* answered before the row is taken */
     ended = true
#else
     ended = true;
     endAnswered = true
#endif
  fi
}

init {
  atomic {
    jti[0] = fresh; fresh++;
    run honest();
    run thief();
    run logout()
  }
}
