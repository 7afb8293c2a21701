"""What is measured. Each measurement is a function that takes a Stage and yields lines; its first line says why.

A new one: write its function, and put it into MEASUREMENTS at the end.
"""
import contextlib, functools, itertools, json, os, pathlib, random, resource, shutil, socket, statistics, subprocess, sys
import tempfile, time

import load
from report import Line, at_least, at_most, ratio
from serving import resident, settle
from stage import BARE, BOTH, CLAVIGER, CORES, LEAST_HASH, LOAD_CORE, ROOT, SERVER_CORE, TARGET, Skipped, output, timed

ACCOUNTS = 64
# More than any cache of checked tokens may hold.
TOKENS = 20_000
# A session may be refreshed a thousand times at once.
SESSIONS = 512
ARGON2_MIB = 19
# So many keep the disk and the cores busy at once; fewer wait for each other's syncs.
CROWD = 256


def requests(stage, lines):
    """A file of requests."""
    return load.write_requests(tempfile.mkstemp(dir=stage.folder)[1], lines)


def with_accounts(stage, *settings, **how):
    """A server with accounts, and the file of their logins."""
    server = stage.claviger(*settings, **how)
    load.sign_up(server, ACCOUNTS)
    return server, requests(stage, load.logins(range(ACCOUNTS)))


def tokens(stage, server, logins, count):
    """So many pairs of access and refresh token."""
    return load.collect(LOAD_CORE, server, logins, count, stage.path(f"tokens-{server.port}"))


def with_tokens(stage, count):
    """A server as an operator runs it, and pairs of tokens that the same one gave with a lesser hash."""
    with stage.claviger(*LEAST_HASH) as quick:
        load.sign_up(quick, ACCOUNTS)
        logins = requests(stage, load.logins(range(ACCOUNTS)))
        pairs = tokens(stage, quick, logins, count)
    return stage.claviger(folder=quick.folder), pairs


def access(pairs):
    return load.profiles(access for access, _ in pairs)


def login(stage):
    """A login costs its hash and nothing else."""
    server, logins = with_accounts(stage, "--hash-threads", "1")
    got = stage.turns(
        logins=lambda: stage.replay(server, logins, 6),
        hashes=lambda: stage.bare("hash", "ours", stage.seconds(6), 1),
        signatures=lambda: stage.bare("sign", "RS256", stage.seconds(2), 1),
    )
    text = "logins a second by 64 callers ÷ bare hashes a second (our Argon2id, default cost), each on one core"
    yield ratio("login ÷ bare hash", text, at_least(0.95), {"logins/s": got["logins"]}, {"hashes/s": got["hashes"]})
    most = [1 / (1 + hashes / signatures) for hashes, signatures in zip(got["hashes"], got["signatures"])]
    text = "the most that this can be here: a login is a hash and an RS256 signature, one after the other on the core"
    yield Line("limit of login ÷ bare hash", text, most, None, "", {"signatures/s": got["signatures"]})


def hash_goal():
    flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    return at_least(2.0) if "avx512f" in flags else at_least(1.5) if "avx2" in flags else None


def hashing(stage):
    """The hash is as fast as the processor allows."""
    seconds = stage.seconds(2)
    for threads, cores, on in (1, SERVER_CORE, "one thread"), (len(CORES), BOTH, f"{len(CORES)} threads"):
        libargon2 = [sys.executable, ROOT / "bench/libargon2.py", seconds, threads]
        got = stage.turns(
            ours=lambda: stage.bare("hash", "ours", seconds, threads, cores=cores),
            rustcrypto=lambda: stage.bare("hash", "rustcrypto", seconds, threads, cores=cores),
            libargon2=lambda: timed(libargon2, cores),
        )
        text, ours = f"our Argon2id hashes a second (default cost) ÷ {{}}, {on}", {"hashes/s": got["ours"]}
        default = text.format("those of RustCrypto's default call")
        yield ratio(f"hash ÷ RustCrypto, {on}", default, hash_goal(), ours, {"RustCrypto/s": got["rustcrypto"]})
        reference = text.format("those of the C reference, Debian's libargon2")
        yield ratio(f"hash ÷ libargon2, {on}", reference, None, ours, {"libargon2/s": got["libargon2"]})


def profile(stage):
    """A token check is nearly free."""
    server, pairs = with_tokens(stage, TOKENS)
    profiles = requests(stage, access(pairs))
    empty, seen = stage.empty_handler(), f"Authorization: Bearer {pairs[0][0]}"
    got = stage.turns(
        new=lambda: stage.replay(server, profiles),
        seen=lambda: stage.rate(server, "/user/profile", header=seen),
        empty=lambda: stage.rate(empty),
    )
    text = "GET /user/profile a second, {}, ÷ requests a second to an empty axum handler, each on one core"
    parts = {"empty/s": got["empty"]}
    new = text.format(f"{TOKENS:,} tokens in turn so that each is verified")
    again = text.format("one token again and again")
    yield ratio("new token ÷ empty handler", new, at_least(0.14), {"profiles/s": got["new"]}, parts)
    yield ratio("token seen before ÷ empty handler", again, at_least(0.5), {"profiles/s": got["seen"]}, parts)


def jwks(stage):
    """The JWK set is a copy of bytes."""
    server, empty = stage.claviger(), stage.empty_handler()
    got = stage.turns(sets=lambda: stage.rate(server, "/.well-known/jwks.json"), empty=lambda: stage.rate(empty))
    text = "GET /.well-known/jwks.json a second ÷ requests a second to an empty axum handler, each on one core"
    yield ratio("JWK set ÷ empty handler", text, at_least(0.9), {"sets/s": got["sets"]}, {"empty/s": got["empty"]})


def refreshes(stage, server, pairs):
    """A function that refreshes as quickly as it can, each time in sessions of its own; `how` says what it gives."""
    files = []
    for run in range(stage.pairs):
        files.append(stage.path(f"refresh-{run}"))
        with open(files[-1], "w") as file:
            file.writelines(refresh + "\n" for _, refresh in pairs[run :: stage.pairs])
    files = iter(files)
    return lambda how=stage.rate: how(server, "/", 3, "refresh.lua", next(files))


def sign_ups(stage, server):
    """A function that signs up as quickly as it can, each time with addresses of its own; `how` says what it gives."""
    runs = itertools.count()
    return lambda how=stage.rate: how(server, "/", 3, "sign-up.lua", f"run{next(runs)}")


def refresh(stage):
    """Issuing costs one signature."""
    server, pairs = with_tokens(stage, SESSIONS * stage.pairs)
    run = refreshes(stage, server, pairs)
    got = stage.turns(
        refreshes=run,
        signatures=lambda: stage.bare("sign", "RS256", stage.seconds(3), 1),
    )
    text = "POST /token refreshes a second by 64 callers ÷ bare RS256 tokens signed a second, each on one core"
    over, under = {"refreshes/s": got["refreshes"]}, {"signatures/s": got["signatures"]}
    yield ratio("refresh ÷ bare signature", text, at_least(0.8), over, under)


def storm(stage):
    """Token checks do not feel a login storm."""
    server, logins = with_accounts(stage, "--hash-threads", "1")
    token, seconds, failed = load.login(server), stage.seconds(5), []

    def p99():
        times, failures = load.probe(server, token, 200, seconds)
        failed.append(failures)
        return load.percentile(times, 0.99)

    def under_logins():
        with stage.storm(server, logins, seconds + 1):
            time.sleep(0.5)
            value = p99()
        settle(server.process)
        return value

    got = stage.turns(quiet=p99, stormy=under_logins)
    goal = at_most(max(1.5 * statistics.median(got["quiet"]), 10))
    text = "99th percentile of GET /user/profile at 200 a second while 64 callers log in, server on one core"
    parts = {"without the logins": got["quiet"]}
    yield Line("profile p99 under 64 logins", text, got["stormy"], goal, "ms", parts)
    yield Line("failed in the storm", "requests that failed in a run of them", failed, at_most(0))


def refusals(stage):
    """Who has an account cannot be told by the time of a refusal."""
    server, _ = with_accounts(stage, "--hash-threads", "1")
    known, unknown = [], []
    for _ in range(stage.pairs):
        addresses = [address for number in range(ACCOUNTS) for address in (load.email(number), f"no{load.email(number)}")]
        times = load.refused(server, addresses)
        known.append(statistics.median(times[::2]))
        unknown.append(statistics.median(times[1::2]))
    text = "time of a login that is refused, by a wrong password or an unknown address: the longer ÷ the shorter"
    values = [max(pair) / min(pair) for pair in zip(known, unknown)]
    parts = {"wrong password, ms": known, "unknown, ms": unknown}
    yield Line("unknown or wrong, by time", text, values, at_most(1.05), "", parts)


def memory(stage):
    """Small."""
    idle, peak, after = [], [], []
    for _ in range(stage.pairs):
        with stage.claviger(cores=BOTH) as server:
            time.sleep(1)
            idle.append(resident(server.process))
            load.sign_up(server, ACCOUNTS)
            logins = requests(stage, load.logins(range(ACCOUNTS)))
            peak.append(highest(stage, server, logins))
            time.sleep(10)
            after.append(resident(server.process))
    rest = statistics.median(idle)
    argon2 = len(CORES) * ARGON2_MIB
    text = "resident memory of the server on {} cores: {}"
    parts = {"of it Argon2's": [argon2]}
    for label, what, values, most, parts in [
        ("memory, idle", "a second after its start", idle, 10, {}),
        ("memory, 64 logins at once", "the most while 64 callers log in", peak, rest + argon2 + 10, parts),
        ("memory, 10 s later", "10 s after those logins", after, 1.5 * rest, {}),
    ]:
        yield Line(label, text.format(len(CORES), what), values, at_most(most), "MiB", parts)


def highest(stage, server, logins):
    seen = []
    with stage.storm(server, logins, stage.seconds(4)) as under_way:
        while under_way.poll() is None:
            seen.append(resident(server.process))
            time.sleep(0.01)
    return max(seen)


def idle_connections(stage):
    """Clients that only stay connected cost little."""
    count, used = 10_000, []
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < count + 100:
        raise Skipped(f"{count:,} connections need more open files than the {most:,} allowed here (ulimit -Hn)")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for _ in range(stage.pairs):
        with stage.claviger(cores=BOTH) as server, contextlib.ExitStack() as open_ones:
            for _ in range(count):
                open_ones.enter_context(answered_once(server.port))
            used.append(resident(server.process))
            files = len(os.listdir(f"/proc/{server.process.pid}/fd"))
            if files < count:
                raise load.Refused(f"only {files:,} of {count:,} connections were still open")
    text = f"resident memory of the server with {count:,} idle connections that each made one request"
    yield Line("memory, 10,000 connections", text, used, at_most(150), "MiB")


def answered_once(port):
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    if not connection.recv(4096).startswith(b"HTTP/1.1 2"):
        raise load.Refused("a connection was not served")
    return connection


def starting(stage):
    """It starts at once."""
    first, later = [], []
    for _ in range(stage.pairs):
        with stage.claviger(cores=BOTH) as new:
            first.append(new.seconds_to_answer * 1000)
        with stage.claviger(cores=BOTH, folder=new.folder) as again:
            later.append(again.seconds_to_answer * 1000)
    text = "milliseconds from exec to the first answer, {}"
    yield Line("start", text.format("data folder of an earlier start"), later, at_most(20), "ms")
    yield Line("very first start", text.format("no data folder yet, RSA key made"), first, at_most(600), "ms")


def with_writes(stage, **how):
    """Sign-ups and refreshes at a server where neither hash nor signature is what they cost."""
    server, logins = with_accounts(stage, *LEAST_HASH, "--signing-alg", "EdDSA", cores=BOTH, **how)
    pairs = tokens(stage, server, logins, SESSIONS * stage.pairs)
    return sign_ups(stage, server), refreshes(stage, server, pairs)


def writes(stage):
    """Writes are grouped."""
    up, again = with_writes(stage)
    crowd = functools.partial(stage.rate, callers=CROWD)
    got = stage.turns(up=lambda: up(how=crowd), again=lambda: again(how=crowd))
    text = f"{{}} a second by {CROWD} callers, on the disk before they are answered; server and load share {{}} cores"
    for what, name in ("sign-ups (least Argon2 there is)", "up"), ("refreshes (EdDSA)", "again"):
        yield Line("durable " + what.split(" ")[0], text.format(what, len(CORES)), got[name], at_least(10_000), "/s")


def syncs(stage):
    """One sync serves many."""
    trace = stage.path("trace")
    watch = ["strace", "-D", "-qq", "-f", "--seccomp-bpf", "-o", trace, "-e", "trace=fsync,fdatasync"]
    up, again = with_writes(stage, before=watch)

    def a_request(run):
        before = synced(trace)
        count = run(how=stage.send).count
        return (synced(trace) - before) / count

    got = stage.turns(up=lambda: a_request(up), again=lambda: a_request(again))
    text = "fsync and fdatasync calls, as strace sees them, for each of the {} of 64 callers"
    for what, name in ("sign-ups", "up"), ("refreshes", "again"):
        yield Line(f"syncs, {what}", text.format(what), got[name], at_most(0.2))


def synced(trace):
    return pathlib.Path(trace).read_text().count("sync(")


def flat(stage):
    """Cost stays flat as accounts become many."""
    if subprocess.run([CLAVIGER, "import", "--help"], capture_output=True).returncode:
        raise Skipped("this claviger has no command `import`")
    counts = [1_000, 100_000 if stage.quick else 1_000_000]
    folders = [imported(stage, count) for count in counts]
    for label, what, settings, costs in [
        ("login", "a login (default cost)", ["--hash-threads", "1"], USUAL),
        ("login without hash", "a login (least Argon2 there is, so that it hides nothing)", LEAST_HASH, LEAST),
    ]:
        with contextlib.ExitStack() as running:
            servers = [running.enter_context(stage.claviger(*settings, folder=folder)) for folder in folders]
            logins = [requests(stage, load.logins(some(count, costs))) for count in counts]
            yield flatness(stage, counts, label, what, servers, logins)
            if costs == LEAST:
                pairs = [tokens(stage, server, file, TOKENS) for server, file in zip(servers, logins)]
                profiles = [requests(stage, access(some_pairs)) for some_pairs in pairs]
                yield flatness(stage, counts, "profile", "GET /user/profile", servers, profiles)


def flatness(stage, counts, label, what, servers, files):
    few, many = (f"{count:,}" for count in counts)
    got = stage.turns(
        few=lambda: stage.replay(servers[0], files[0]),
        many=lambda: stage.replay(servers[1], files[1]),
    )
    text = f"time of {what}, random ones of {many} accounts ÷ of {few}, server on one core"
    rates = {f"of {few}/s": got["few"]}, {f"of {many}/s": got["many"]}
    return ratio(f"{label}, {many} accounts", text, at_most(1.1), *rates)


# Of the imported accounts, those with even numbers have the default hash and the others the least.
USUAL, LEAST = 0, 1


def some(count, costs):
    """Random accounts of those imported."""
    chosen = random.Random(count)
    return [2 * chosen.randrange(count // 2) + costs for _ in range(TOKENS)]


def imported(stage, count):
    """A data folder with so many accounts."""
    costs = ["19456", "2"], ["8", "1"]
    hashes = [output([BARE, "hash-phc", load.PASSWORD, *cost]).strip() for cost in costs]
    with open(stage.path("accounts"), "w") as file:
        for number in range(count):
            account = {"email": load.email(number), "name": f"user{number}", "password_hash": hashes[number % 2]}
            file.write(json.dumps(account) + "\n")
    with stage.claviger(*LEAST_HASH) as new:
        pass
    output([CLAVIGER, "import", stage.path("accounts"), "--data-dir", new.folder])
    return new.folder


def flask(stage):
    """Beside a server as one would make it at home."""
    theirs = stage.flask(flask_python())
    load.sign_up(theirs, ACCOUNTS)
    server, logins = with_accounts(stage, "--hash-threads", "1")
    profiles = {}
    for name, one in ("ours", server), ("theirs", theirs):
        all_tokens = [load.login(one, number) for number in range(ACCOUNTS)]
        profiles[name] = requests(stage, load.profiles(all_tokens))

    def their(file, seconds):
        rate = stage.replay(theirs, file, seconds)
        # It goes on with requests whose callers have gone.
        settle(theirs.process)
        return rate

    got = stage.turns(
        logins=lambda: stage.replay(server, logins, 6),
        their_logins=lambda: their(logins, 6),
        profiles=lambda: stage.replay(server, profiles["ours"]),
        their_profiles=lambda: their(profiles["theirs"], 3),
    )
    text = "{} a second by 64 callers ÷ those of a Flask server (bench/flask: gunicorn, SQLite, {}), each on one core"
    for what, part in ("logins", "werkzeug's scrypt"), ("profiles", "PyJWT"):
        ours, flasks = {f"{what}/s": got[what]}, {"Flask/s": got[f"their_{what}"]}
        yield ratio(f"{what} ÷ Flask", text.format(what, part), None, ours, flasks)


def flask_python():
    """The Python that has Flask; made once, kept in target/."""
    wanted = ROOT / "bench/flask/requirements.txt"
    folder = TARGET / "bench-flask"
    python, made_for = folder / "bin/python", folder / "requirements.txt"
    if not made_for.exists() or made_for.read_text() != wanted.read_text():
        shutil.rmtree(folder, ignore_errors=True)
        try:
            output([sys.executable, "-m", "venv", folder])
            output([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", wanted])
        except (OSError, subprocess.CalledProcessError) as error:
            raise Skipped(f"Flask cannot be installed here: {reason(error)}")
        shutil.copy(wanted, made_for)
    return python


def reason(error):
    return (getattr(error, "stderr", None) or str(error)).strip().splitlines()[-1]


MEASUREMENTS = {
    "login": login,
    "hash": hashing,
    "profile": profile,
    "jwks": jwks,
    "refresh": refresh,
    "storm": storm,
    "refusals": refusals,
    "memory": memory,
    "connections": idle_connections,
    "start": starting,
    "writes": writes,
    "syncs": syncs,
    "flat": flat,
    "flask": flask,
}
