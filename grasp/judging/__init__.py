"""The judge of any source of grasps: candidates, baseline, metrics, evaluation."""
