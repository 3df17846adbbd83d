"""Reinforcement learning: rewards, filters, advantages, rollouts, PPO."""
