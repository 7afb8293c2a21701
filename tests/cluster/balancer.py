"""A small TCP load balancer, as the one in front of several nodes: it asks each node every 200 ms whether it is
ready, and gives new connections to those that are, in turn.

Usage: balancer.py PORT NODE_PORT…
"""
import asyncio, sys
from proxy import Proxy

EVERY = 0.2
QUESTION = b"GET /health/ready HTTP/1.1\r\nHost: balancer\r\nConnection: close\r\n\r\n"


class Balancer(Proxy):
    def __init__(self, nodes):
        super().__init__()
        self.nodes = nodes
        self.ready = set()

    async def connect(self):
        for _ in self.nodes:
            self.nodes = self.nodes[1:] + self.nodes[:1]
            if self.nodes[0] not in self.ready:
                continue
            try:
                return await asyncio.open_connection("127.0.0.1", self.nodes[0])
            except OSError:
                self.ready.discard(self.nodes[0])
        raise ConnectionRefusedError

    async def watch(self, node):
        while True:
            try:
                is_ready = await asyncio.wait_for(ask(node), 1)
            except (OSError, asyncio.TimeoutError):
                is_ready = False
            (self.ready.add if is_ready else self.ready.discard)(node)
            await asyncio.sleep(EVERY)

    async def run(self, port):
        watches = [asyncio.create_task(self.watch(node)) for node in self.nodes]
        await super().run(port)
        del watches


async def ask(node):
    reader, writer = await asyncio.open_connection("127.0.0.1", node)
    try:
        writer.write(QUESTION)
        return (await reader.read(64)).startswith(b"HTTP/1.1 200 ")
    finally:
        writer.close()


if __name__ == "__main__":
    port, *nodes = map(int, sys.argv[1:])
    asyncio.run(Balancer(nodes).run(port))
