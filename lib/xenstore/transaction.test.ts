import fc from "fast-check";
import { expect, test } from "vitest";
import { absence, Draft, type Operation } from "./draft.ts";
import { defaultLimits } from "./limits.ts";
import { everything, find, type Node } from "./node.ts";
import { access, isAllowed, parsePermission, printPermission, type Actor, type Permissions } from "./permissions.ts";
import { Store } from "./store.ts";
import { aspect, Transaction } from "./transaction.ts";

// Whatever clients do in turns, the tree in the end is one that they could have made one after the other, in the order
// in which their transactions ended; and each of them saw what it would have seen then.

const actors: readonly [Actor, ...Actor[]] = [
  { domain: 0, target: -1, privileged: true },
  { domain: 0, target: -1, privileged: true },
  { domain: 3, target: -1, privileged: false },
  { domain: 4, target: 3, privileged: false },
];
const path = fc.constantFrom("/a", "/b", "/a/c", "/a/d", "/a/c/e", "/b/c");
const permission = fc.record({ domain: fc.constantFrom(0, 3, 4, 5), life: fc.constant(0), access: fc.nat(3) });
interface Look {
  readonly kind: "read" | "list";
  readonly path: string;
}
type Step = Look | Operation;
const isLook = (each: Step): each is Look => each.kind === "read" || each.kind === "list";
const step: fc.Arbitrary<Step> = fc.oneof(
  path.map((at) => ({ kind: "read" as const, path: at })),
  path.map((at) => ({ kind: "list" as const, path: at })),
  fc.record({ kind: fc.constant("write" as const), path, value: fc.nat(3).map((byte) => Uint8Array.of(byte)) }),
  path.map((at) => ({ kind: "make" as const, path: at })),
  path.map((at) => ({ kind: "remove" as const, path: at })),
  fc.record({ kind: fc.constant("permit" as const), path, permissions: fc.tuple(permission, permission) }),
);
/** As a server has it that goes on in the place of the one that began it. */
function handedOn(transaction: Transaction, store: Store): Transaction {
  const accesses = transaction.accesses(store.root);
  const again = new Transaction(transaction.id, transaction.actor, store.root, store, 1000);
  if (accesses === undefined) again.lose();
  else again.load(accesses, parsePermissions);
  return again;
}

function parsePermissions(texts: readonly string[]): Permissions | undefined {
  const [first, ...others] = texts.map((each) => parsePermission(each, lifeOf));
  if (first === undefined) return undefined;
  return [first, ...others.filter((each) => each !== undefined)];
}

const turn = fc.record({
  isHandedOn: fc.boolean(),
  client: fc.nat(actors.length - 1),
  step: fc.option(step, { nil: undefined, freq: 4 }),
});

function describeTree(root: Node): string[] {
  return [...everything(root, "/")]
    .map(([at, node]) => `${at}=${node.value.join()} ${node.permissions.map(printPermission).join()}`)
    .sort();
}

const lifeOf = (): number => 0;

/** What a client learns of a step. */
function see(root: Node, actor: Actor, { kind, path: at }: Look): string {
  const node = find(root, at);
  if (node === undefined) return absence(root, at, actor, access.read, lifeOf);
  if (!isAllowed(node.permissions, actor, access.read, lifeOf)) return "EACCES";
  return kind === "read" ? node.value.join() : [...node.children].map(([name]) => name).join();
}

test("transactions that succeed are as if they had run one after the other", () => {
  let committed = 0;
  let refused = 0;
  fc.assert(
    fc.property(fc.array(turn, { minLength: 40, maxLength: 80 }), (turns) => {
      const store = new Store(defaultLimits);
      const serial = new Store(defaultLimits);
      const open = new Map<number, { transaction: Transaction; steps: Step[]; seen: string[] }>();
      for (const each of [store, serial]) {
        const start = new Draft(each.root, each);
        const permissions = [
          { domain: 0, life: 0, access: access.both },
          { domain: 5, life: 0, access: access.none },
        ] as const;
        start.apply({ kind: "make", path: "/a" }, actors[0]);
        start.apply({ kind: "permit", path: "/a", permissions }, actors[0]);
        each.adopt(start);
      }
      for (const { client, step: next, isHandedOn } of turns) {
        const actor = actors[client] ?? actors[0];
        const current = open.get(client) ?? {
          transaction: new Transaction(client + 1, actor, store.root, store, 1000),
          steps: [],
          seen: [],
        };
        open.set(client, current);
        if (isHandedOn) current.transaction = handedOn(current.transaction, store);
        const { transaction, steps, seen } = current;
        if (next === undefined) {
          open.delete(client);
          const draft = transaction.replay(store.root);
          if (typeof draft === "string") {
            refused++;
            continue;
          }
          committed++;
          store.adopt(draft);
          const again = new Draft(serial.root, serial);
          const anew = steps.map((each) =>
            isLook(each) ? see(again.root, actor, each) : String(again.apply(each, actor)),
          );
          expect(anew).toEqual(seen);
          serial.adopt(again);
          expect(describeTree(store.root)).toEqual(describeTree(serial.root));
          expect(store.size).toBe([...everything(store.root, "/")].length);
          continue;
        }
        steps.push(next);
        if (isLook(next)) {
          transaction.look(next.path, next.kind === "read" ? aspect.value : aspect.children);
          seen.push(see(transaction.root, actor, next));
        } else seen.push(String(transaction.apply(next)));
      }
    }),
    { numRuns: 500 },
  );
  expect(committed).toBeGreaterThan(500);
  expect(refused).toBeGreaterThan(50);
});
