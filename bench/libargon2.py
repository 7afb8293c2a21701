"""Argon2id by the reference implementation as the system has it.

Usage: libargon2.py SECONDS THREADS      prints hashes (m=19456, t=2, p=1) a second
"""
import ctypes, sys, threading, time

SECONDS, THREADS = float(sys.argv[1]), int(sys.argv[2])
LIBRARY = ctypes.CDLL("libargon2.so.1")
PASSWORD, SALT = b"correct horse battery staple", b"sixteen of bytes"


def hash_once():
    # (passes, memory in KiB, lanes, password, salt, tag); Python lets other threads run meanwhile.
    tag = ctypes.create_string_buffer(32)
    sizes = map(ctypes.c_size_t, (len(PASSWORD), len(SALT), len(tag)))
    password_size, salt_size, tag_size = sizes
    failed = LIBRARY.argon2id_hash_raw(2, 19456, 1, PASSWORD, password_size, SALT, salt_size, tag, tag_size)
    if failed:
        sys.exit(f"libargon2: error {failed}")


def work(rates):
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < SECONDS:
        hash_once()
        count += 1
    rates.append(count / (time.perf_counter() - began))


rates = []
threads = [threading.Thread(target=work, args=(rates,)) for _ in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sum(rates))
