// Wakes the other device of a room by a push notification: if a paired device is alone after its join, or sends `ping_peer`.
import type { PushTarget, ServerMessage, SignalingErrorCode } from '@couplet/protocol';
import { assertNever } from '../base/assert-never.js';
import type { Cancel } from '../base/clock.js';
import { Unavailable } from '../base/failures.js';
import type { Services } from '../observability/services.js';
import type { Notifier } from './notifier.js';

const OUTCOMES = [
  'sent',
  'not_in_room',
  'peer_present',
  'no_push_target',
  'push_too_soon',
  'push_failed',
  'unavailable',
] as const satisfies readonly ('sent' | SignalingErrorCode)[];

/** `sent`, or the code of the error that `ping_peer` gets. */
export type WakeOutcome = (typeof OUTCOMES)[number];

/** The parts of a connection that waking its peer needs. */
export interface WakingMember {
  readonly open: boolean;
  /** Another object after each change. */
  readonly seat: {
    readonly roomId: string;
    readonly peerId: string | null;
    readonly pairedDevice: string | null;
  } | null;
  send(message: ServerMessage): void;
}

/** The paired rooms, and the push targets of their devices. */
export interface WakeableRooms {
  find(roomId: string): Promise<{ client1: string; client2: string } | undefined>;
  /** Returns the push target of a device, at most once in the interval between two notifications. */
  claim(
    roomId: string,
    deviceId: string,
  ): Promise<
    { kind: 'claimed'; target: PushTarget } | { kind: 'no_target' } | { kind: 'too_soon' }
  >;
  forget(roomId: string, deviceId: string, target: PushTarget): Promise<void>;
}

export interface WakerDeps extends Omit<Services, 'config'> {
  /** Undefined if the server has no store. */
  rooms: WakeableRooms | undefined;
  notifier: Notifier;
  /** How long a device must be alone before its peer is woken. */
  graceMs: number;
}

export type Waker = ReturnType<typeof createWaker>;

export function createWaker({ rooms, notifier, graceMs, clock, metrics, log }: WakerDeps) {
  const canWake = rooms !== undefined && notifier.platforms.size > 0;
  const waiting = new Map<WakingMember, Cancel>();
  const counts = metrics.counter(
    'couplet_wakes_total',
    'Attempts to wake the other device of a room, by outcome: sent, or the reason why no notification was sent.',
    'outcome',
    OUTCOMES,
  );

  const attempt = async (member: WakingMember): Promise<WakeOutcome> => {
    const { roomId, pairedDevice } = member.seat ?? {};
    /** The reason why the peer must no longer be woken, if any. */
    const obstacle = () => {
      if (!member.open || roomId === undefined || member.seat?.roomId !== roomId)
        return 'not_in_room';
      return member.seat.peerId === null ? undefined : 'peer_present';
    };
    const before = obstacle();
    if (before !== undefined || roomId === undefined) return before ?? 'not_in_room';
    if (!canWake || pairedDevice === null) return 'no_push_target';
    const room = await rooms.find(roomId);
    if (room === undefined) return 'no_push_target';
    const deviceId = room.client1 === pairedDevice ? room.client2 : room.client1;
    const meanwhile = obstacle();
    if (meanwhile !== undefined) return meanwhile;
    const claim = await rooms.claim(roomId, deviceId);
    if (claim.kind === 'too_soon') return 'push_too_soon';
    if (claim.kind === 'no_target' || !notifier.platforms.has(claim.target.platform))
      return 'no_push_target';
    // Also sent if the member has left since: its device may be back on another connection, for which the claim counts too.
    const isNeeded = () => obstacle() !== 'peer_present';
    if (!isNeeded()) return 'peer_present';
    const outcome = await notifier.notify(claim.target, roomId, isNeeded);
    switch (outcome.kind) {
      case 'sent':
        member.send({ type: 'peer_notified', roomId });
        return 'sent';
      case 'dead':
        await rooms.forget(roomId, deviceId, claim.target);
        return 'no_push_target';
      case 'failed':
        return 'push_failed';
      case 'dropped':
        return obstacle() ?? 'push_failed';
      default:
        return assertNever(outcome.kind);
    }
  };

  /** Wakes the peer of a member now. Never rejects. A member that gets `sent` was sent `peer_notified`. */
  const wake = async (member: WakingMember): Promise<WakeOutcome> => {
    const outcome = await attempt(member).catch((error: unknown): WakeOutcome => {
      const isOutage = error instanceof Unavailable;
      if (!isOutage || !error.isReported) log.error({ err: error }, 'peer not woken');
      return isOutage ? 'unavailable' : 'push_failed';
    });
    counts[outcome] += 1;
    return outcome;
  };

  return {
    wake,

    /** Call this after each join. If the member is still alone after `graceMs`, its peer is woken. */
    joined(member: WakingMember): void {
      const { seat } = member;
      if (!canWake || seat === null || seat.peerId !== null || seat.pairedDevice === null) return;
      waiting.get(member)?.();
      const timer = clock.after(graceMs, () => {
        waiting.delete(member);
        // If the peer has joined and left meanwhile, the device has another seat, and was not alone.
        if (member.seat === seat) void wake(member);
      });
      waiting.set(member, timer);
    },

    /** Starts no more attempts. Those in progress continue. */
    close(): void {
      for (const cancel of waiting.values()) cancel();
      waiting.clear();
    },
  };
}
