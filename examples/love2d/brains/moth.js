// Circles around the player as a moth does around a lamp, at DISTANCE pixels, every other one the other way.
//
// This file is a script in JavaScript. Save another version while the game runs, and the next decision is by that one.
// brain.h has what a brain is given, what it answers and what it may ask.
const DISTANCE = 110;

/** Its next direction: towards the player, or away from where it is too near, and around. */
function around(player, enemy, turn) {
  const dx = player.x - enemy.x;
  const dy = player.y - enemy.y;
  const inwards = (Math.hypot(dx, dy) - DISTANCE) / DISTANCE;
  return [dx * inwards - dy * turn, dy * inwards + dx * turn];
}

export default function ({ context: { player, enemies } }) {
  return {
    enemies: enemies.map((enemy, index) => ({
      go: around(player, enemy, index % 2 ? 1 : -1),
      memory: [0, 0],
    })),
  };
}
