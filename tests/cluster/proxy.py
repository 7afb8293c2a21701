"""A small TCP proxy, in a process of its own so that the load does not slow it.

It listens on the port that it is given. Standard input says what to do, a line each, and each is answered by a
line: `to PORT` carries new connections there, `cut` ends all connections and takes no new ones until the next
`to`. It ends with its standard input.
"""
import asyncio, os, subprocess, sys


class Proxy:
    """What runs in the process."""

    def __init__(self):
        self.target = None
        self.open = set()

    async def connect(self):
        """A connection to where new ones go now."""
        if self.target is None:
            raise ConnectionRefusedError
        return await asyncio.open_connection("127.0.0.1", self.target)

    async def accept(self, reader, writer):
        try:
            far_reader, far_writer = await self.connect()
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self.open |= ends
        ways = [asyncio.create_task(carry(reader, far_writer)), asyncio.create_task(carry(far_reader, writer))]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.close()
        await asyncio.wait(ways)
        self.open -= ends

    def obey(self, line):
        command, *given = line.split()
        if command == "to":
            self.target = int(given[0])
        elif command == "cut":
            self.target = None
            for end in self.open:
                end.transport.abort()

    async def run(self, port):
        await asyncio.start_server(self.accept, "127.0.0.1", port)
        print("listening", flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            self.obey(line)
            print("done", flush=True)


async def carry(reader, writer):
    try:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass


class Process:
    """Such a process, as its parent sees it."""

    def __init__(self, program, *arguments):
        path = os.path.join(os.path.dirname(__file__), program)
        command = [sys.executable, path, *map(str, arguments)]
        # In a session of its own: an interrupt reaches the parent, which then stops all in their order.
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        self.expect("listening")

    def expect(self, said):
        line = self.process.stdout.readline().strip()
        assert line == said, f"{self.process.args}: {line!r}"

    def say(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        self.expect("done")

    def stop(self):
        self.process.kill()
        self.process.wait()


if __name__ == "__main__":
    asyncio.run(Proxy().run(int(sys.argv[1])))
